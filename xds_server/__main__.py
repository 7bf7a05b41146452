"""``python -m xds_server`` is the command ``waypost``."""

from xds_server.cli import main

main(prog_name="waypost")
