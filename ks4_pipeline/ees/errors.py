"""What can go wrong between us and the publisher's API, by what the caller can do about it.

Each error knows how many attempts its fault is worth; :mod:`ks4_pipeline.ees.retrying` makes them, and the error that
is left at the end says so.
"""

from __future__ import annotations

import sys
from typing import ClassVar

from ks4_pipeline.errors import Ks4Error

ONCE = 1
ONCE_MORE = 2
ANY = sys.maxsize


class EesError(Ks4Error):
    """Base: a request to the API that gave no usable answer.

    Attributes:
        url: what was asked.
        worth: how many attempts the fault is worth in all: ``ONCE`` where another cannot help, ``ONCE_MORE`` where a
            second may, ``ANY`` where time heals.
        retry_after: the seconds the server asked to be left alone.
    """

    _worth: ClassVar[int] = ONCE

    def __init__(self, url: str, message: str, *, worth: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(f"{url}: {message}")
        self.url = url
        self.worth = self._worth if worth is None else worth
        self.retry_after = retry_after

    def add(self, sentence: str) -> None:
        """Say more: what was tried before this was raised."""
        self.args = (f"{self} {sentence}",)


class EesUnavailableError(EesError):
    """The API cannot be reached or cannot answer now (connection, timeout, 429, 5xx): try again later."""

    _worth = ANY


class EesBlockedError(EesUnavailableError):
    """Something before the API, such as a firewall or proxy, refused: whether it would answer is not known."""

    _worth = ONCE


class EesStatusError(EesError):
    """The API answered and refused (other 4xx, or a redirect): trying again will not help.

    ``status`` is the HTTP status.
    """

    def __init__(self, url: str, status: int, message: str) -> None:
        super().__init__(url, message)
        self.status = status


class EesAnswerError(EesError):
    """An answer with status 200 that is not what the contract says: not JSON, a missing field, another version."""


class EesTooLargeError(EesAnswerError):
    """An answer larger than we take (:class:`ks4_pipeline.ees.limits.Limits`); reading stopped there."""


class EesTransferError(EesError):
    """A download that did not arrive whole: cut short, not gzip, or with a wrong checksum. A new attempt may do."""

    _worth = ANY
