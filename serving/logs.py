"""One JSON object a line on stderr, without anything of a request's content."""

import sys

import structlog


def logger() -> structlog.typing.FilteringBoundLogger:
    """The service's log; Ray keeps a replica's stderr under its session's `logs/`."""
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log
