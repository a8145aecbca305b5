"""Unpacks gzip as it comes, in portions of bounded size, and stops where it comes to more than is taken."""

from __future__ import annotations

from collections.abc import Iterator

from isal import isal_zlib

from ks4_pipeline.ees.errors import EesTooLargeError, EesTransferError

_PORTION = 1 << 20
_MARK = b"\x1f\x8b"
_FIXED, _FLAGS_AT = 10, 3
_CHECKSUM, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
_LONGEST_TEXT = (1 << 16) - 1
_RATIO_COUNTS_FROM = 100_000_000


class Gunzip:
    """Decodes gzip members one after the other; ISA-L checks each member's length and CRC.

    A member's header is gathered first: ISA-L misreads one that comes in parts, and takes some that polars, which reads
    the file again, does not.

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
        self._header: bytes | None = b""  # what has come of one that is not whole
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
                self._header = b""
            if self._header is not None:
                chunk = self._header + chunk
                try:
                    whole = _has_header(chunk)
                except ValueError as error:
                    raise self._damaged(error) from error
                self._header = None if whole else chunk
                if not whole:
                    return
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
        if self._header is not None or not self._member.eof:
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


def _has_header(start: bytes) -> bool:
    """Whether some bytes begin with the whole header of a member, as RFC 1952 has it in section 2.3.

    Raises:
        ValueError: when they cannot be the begin of one.
    """
    if not start.startswith(_MARK[: len(start)]):
        raise ValueError("it does not begin as gzip does")
    if len(start) < _FIXED:
        return False
    flags, end = start[_FLAGS_AT], _FIXED
    if flags & _RESERVED:
        raise ValueError("its header has flags that gzip does not know")
    if flags & _EXTRA:
        end += 2 + int.from_bytes(start[end : end + 2], "little")
    for text in (_NAME, _COMMENT):
        if flags & text:
            begin, end = end, start.find(0, end) + 1 or len(start) + 1
            if end - begin > _LONGEST_TEXT + 1:
                raise ValueError("a name or comment in its header is longer than 64 KiB")
    if flags & _CHECKSUM:
        end += 2
    return end <= len(start)


def too_large(url: str, what: str, setting: str) -> EesTooLargeError:
    """The error for an answer that is more than we take; ``setting`` is the key that says how much that is."""
    return EesTooLargeError(
        url, f"the answer {what}, and is not read further. Where that is right, raise {setting} in [limits]."
    )
