"""Reads and checks the query string of a request as the service does (contract §2.0, §2.1).

Values of a wrong type and unknown names are told first, all together; only when there are none, the bounds. Names are
matched exactly as documented. All this comes before any look-up of a data set.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox import problems

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT32 = range(-(2**31), 2**31)


class ParameterReader:
    """Takes one parameter after the other, gathers what is wrong, and tells it at :meth:`finish`."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        self._items = [(name, value.strip()) for name, value in items]
        self._known: set[str] = set()
        self._binding: list[problems.Fault] = []
        self._bounds: list[problems.Fault] = []

    def text(self, name: str, *, least: int = 0) -> str | None:
        """A text, trimmed; empty counts as absent. Of a repeated name the first value is taken."""
        value = self._first(name) or None
        if value is not None and len(value) < least:
            self._bounds.append(problems.too_short(name, value, least))
        return value

    def page(self) -> int:
        """The page number, from 1."""
        page = self._integer("page", 1)
        if page < 1:
            self._bounds.append(problems.too_small("page", page, 1))
        return page

    def page_size(self, default: int, most: int) -> int:
        """The size of a page; too large is an error, not a clamp."""
        size = self._integer("pageSize", default)
        if not 1 <= size <= most:
            self._bounds.append(problems.not_between("pageSize", size, 1, most))
        return size

    def flag(self, name: str) -> bool:
        """``true`` or ``false`` in any capitals; absent is false."""
        value = self._first(name)
        if value is None:
            return False
        if value.lower() not in ("true", "false"):
            self._binding.append(problems.invalid_value(name))
        return value.lower() == "true"

    def choices(self, name: str, allowed: tuple[str, ...]) -> frozenset[str]:
        """Some of the allowed texts, comma-separated, repeated or as ``name[0]=``; absent means all."""
        chosen = self.many(name) or ()
        self._bounds.extend(
            problems.not_allowed(f"{name}[{index}]", choice, allowed)
            for index, choice in enumerate(chosen)
            if choice not in allowed
        )
        return frozenset(chosen or allowed)

    def many(self, name: str) -> tuple[str, ...] | None:
        """Texts, trimmed, however the list is spelt; None when it is not given, one empty text when given empty."""
        indexed = re.compile(rf"{re.escape(name)}(?:\[[0-9]*\])?")
        given = [(key, value) for key, value in self._items if indexed.fullmatch(key)]
        self._known.update(key for key, _ in given)
        return tuple(choice.strip() for _, value in given for choice in value.split(",")) if given else None

    def refuse(self, faults: Iterable[problems.Fault]) -> None:
        """Faults of values that the caller has checked, to be told with the others of their kind."""
        self._bounds.extend(faults)

    def finish(self) -> None:
        """Refuse the request if anything was wrong with it.

        Raises:
            ProblemError: 400 with all faults of the first kind found.
        """
        names = dict.fromkeys(name for name, _ in self._items if name not in self._known)
        unknown = [problems.unknown_field(name) for name in names]
        if faults := [*unknown, *self._binding] or self._bounds:
            raise problems.ProblemError(HTTPStatus.BAD_REQUEST, tuple(faults))

    def _first(self, name: str) -> str | None:
        self._known.add(name)
        return next((value for key, value in self._items if key == name), None)

    def _integer(self, name: str, default: int) -> int:
        value = self._first(name)
        if value is None:
            return default
        if _WHOLE_NUMBER.fullmatch(value) and int(value) in _INT32:
            return int(value)
        self._binding.append(problems.invalid_value(name))
        return default
