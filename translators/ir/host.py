"""Names of hosts, as policies and requests write them."""


def split_host(text: str) -> tuple[str, str]:
    """The host in lower case without a trailing dot, and the digits of its port.

    The port is empty where none is named: ``A.com.:80`` gives ``("a.com", "80")``, ``[::1]``
    gives ``("[::1]", "")``. A text whose port is not made of digits is a host as a whole.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _is_port(port):
        host, port = text, ""
    return host.lower().removesuffix("."), port


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())
