"""What can go wrong between us and the publisher's API, by what the caller can do about it."""

from __future__ import annotations

from ks4_pipeline.errors import Ks4Error


class EesError(Ks4Error):
    """Base: a request to the API that gave no usable answer. ``url`` is what was asked."""

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"{url}: {message}")
        self.url = url


class EesUnavailableError(EesError):
    """The API cannot be reached or cannot answer now (connection, timeout, 429, 5xx): try again later."""


class EesStatusError(EesError):
    """The API answered and refused (other 4xx, or a redirect): trying again will not help.

    ``status`` is the HTTP status.
    """

    def __init__(self, url: str, status: int, message: str) -> None:
        super().__init__(url, message)
        self.status = status


class EesAnswerError(EesError):
    """An answer with status 200 that is not what the contract says: not JSON, a missing field, another version."""


class EesTransferError(EesError):
    """A download that did not arrive whole: cut short, not gzip, or with a wrong checksum. A new attempt may do."""
