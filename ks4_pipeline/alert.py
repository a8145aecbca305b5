"""Tells people outside: posts a line of text to an address they chose, and never fails over it."""

from __future__ import annotations

import httpx

_TIMEOUT = httpx.Timeout(5)
_MOST = 2000


def post(webhook: str, text: str) -> str | None:
    """Post ``{"text": …}``, as Slack, Teams and most others read it.

    Returns:
        Why it could not be delivered, without the address, which is a secret; None when it was.
    """
    shortened = text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
    try:
        answer = httpx.post(webhook, json={"text": shortened}, timeout=_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"The alert could not be delivered: {type(error).__name__}."
    if answer.is_success:
        return None
    return f"The alert could not be delivered: HTTP {answer.status_code} {answer.reason_phrase}."
