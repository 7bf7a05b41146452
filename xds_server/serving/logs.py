"""How the server logs: JSON for machines, colours for a terminal, always on standard error."""

import logging
import sys

import structlog

_Processors = list[structlog.typing.Processor]


def log_to_stderr() -> None:
    """Set up logging for the process: our own, and that of libraries if they warn of something."""
    common: _Processors = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    structlog.configure(
        processors=[*common, *_rendering()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_library_formatter(common))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _rendering() -> _Processors:
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _library_formatter(common: _Processors) -> logging.Formatter:
    """Writes what libraries log in the form of our own lines."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*common, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
    )
