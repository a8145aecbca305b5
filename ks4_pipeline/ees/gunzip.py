"""Unpacks gzip as it comes, in portions of bounded size, and stops where it comes to more than is taken."""

from __future__ import annotations

from collections.abc import Iterator

from isal import isal_zlib

from ks4_pipeline.ees.errors import EesTooLargeError, EesTransferError

_PORTION = 1 << 20
_MARK = b"\x1f\x8b"
_RATIO_COUNTS_FROM = 100_000_000


class Gunzip:
    """Decodes gzip members one after the other; ISA-L checks each member's length and CRC.

    Args:
        url: where the bytes come from, for the errors.
        most: how many unpacked bytes are taken.
        setting: the key of ``[limits]`` that says so.
        ratio: how many times its packed size the content may come to, once it is large.
    """

    def __init__(self, url: str, most: int, setting: str, ratio: int | None = None) -> None:
        self._url = url
        self._most = most
        self._setting = setting
        self._ratio = ratio
        self._member = isal_zlib.decompressobj(wbits=31)
        self._at_start = True
        self._taken = self._given = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The unpacked bytes of the next packed ones.

        Raises:
            EesTransferError: when they are damaged.
            EesTooLargeError: when they come to too much; at most one portion has been unpacked beyond.
        """
        self._taken += len(chunk)
        while chunk:
            if self._member.eof:
                self._member = isal_zlib.decompressobj(wbits=31)
                self._at_start = True
            if self._at_start and not chunk.startswith(_MARK[: len(chunk)]):  # ISA-L waits for a whole header
                raise self._damaged("it does not begin as gzip does")
            self._at_start = False
            try:
                portion = self._member.decompress(chunk, _PORTION)
            except isal_zlib.error as error:  # type: ignore[misc]  # its stub calls it an instance
                raise self._damaged(error) from error
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if portion:
                self._given += len(portion)
                self._check()
                yield portion

    def finish(self) -> None:
        """Make sure that the last member is whole.

        Raises:
            EesTransferError: when it is not.
        """
        if self._at_start or not self._member.eof:
            raise EesTransferError(self._url, "the gzip body ends before its end mark: the download was cut short.")

    def _damaged(self, why: object) -> EesTransferError:
        return EesTransferError(self._url, f"the gzip body is damaged ({why}).")

    def _check(self) -> None:
        if self._given > self._most:
            raise too_large(self._url, f"unpacks to more than {self._most:,} bytes", self._setting)
        if self._ratio and self._given > max(_RATIO_COUNTS_FROM, self._ratio * self._taken):
            raise too_large(
                self._url, f"unpacks to more than {self._ratio} times its size, as a bomb does", "max_csv_ratio"
            )


def too_large(url: str, what: str, setting: str) -> EesTooLargeError:
    """The error for an answer that is more than we take; ``setting`` is the key that says how much that is."""
    return EesTooLargeError(
        url, f"the answer {what}, and is not read further. Where that is right, raise {setting} in [limits]."
    )
