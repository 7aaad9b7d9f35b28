"""What HAProxy turns away by itself while the service is full.

A refusal by the service costs nearly a tenth of an answer, so that a crowd would keep it from answering. For a moment
after each, HAProxy gives the same refusal to whoever comes.
"""

import os
from http import HTTPStatus

from models.errors import OverloadedError
from serving.errors import PROBLEM, RETRY_AFTER_SECONDS, problem_of

FULL_HEADER = "x-thorax-full"
"""Of a refusal because as many wait as may; HAProxy keeps it to itself."""

FULL_SINCE = "proc.thorax_full_since"
"""HAProxy's variable for the time of the last such refusal, ms since 1970."""

_SHARE_MS = 2  # about a tenth of what an answer takes of a processor
_ROUTES = "/v1/predictions /v1/explanations"


def moment_ms(max_waiting: int) -> int:
    """How long nobody is let in after a refusal: a tenth of the time in which those who wait are answered.

    Args:
        max_waiting: requests that may wait.
    """
    return max(1, _SHARE_MS * max_waiting // (os.cpu_count() or 1))


def haproxy_rules(moment: int) -> str:
    """Lines for a section `backend` (HAProxy 2.8 configuration manual, paragraphs 4.2, 7.3.1 and 7.3.2).

    Args:
        moment: milliseconds, as `moment_ms` gives them.
    """
    full = problem_of(OverloadedError(retry_after_seconds=RETRY_AFTER_SECONDS))
    refusal = f"status {HTTPStatus.SERVICE_UNAVAILABLE} content-type {PROBLEM} hdr Retry-After {RETRY_AFTER_SECONDS}"
    # A range, for the clock may be set back.
    rules = (
        f"http-request return {refusal} string '{full.model_dump_json()}'"
        f" if {{ path {_ROUTES} }} {{ date(0,ms),sub({FULL_SINCE}) 0:{moment} }}",
        f"http-response set-var({FULL_SINCE}) date(0,ms) if {{ res.hdr({FULL_HEADER}) -m found }}",
        f"http-response del-header {FULL_HEADER}",
    )
    return "".join(f"    {rule}\n" for rule in rules)
