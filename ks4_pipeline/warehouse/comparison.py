"""Two versions of a data set compared cell by cell, in SQL, from their tables in the warehouse.

Before rows are matched, what is the same thing under another name is given the newer name: columns and filter options
by the publisher's id, places by id, by name or by code. Rows are matched by time, geography and filters, without the
file's own column ``version`` (Provisional, Revised, Final), which flips for the same cell. A filter that only one
version has counts as its total in the other. Where that key is not unique, rows are matched as a multiset: rows wholly
alike are the same, a single row left on each side is compared cell by cell, and all others are removed and added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ks4_pipeline.columns import FILE_VERSION, Role
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS
from ks4_pipeline.identity import UnifiedColumn
from ks4_pipeline.places import LevelPlaces, Place, cells_of
from ks4_pipeline.structure import Action, Item, Kind
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.schema import FILTER_OPTIONS, LOCATIONS
from ks4_pipeline.warehouse.sql import identifier, literal, qualified

CLASSES = ("revised", "suppressed", "released", "reflagged", "added", "removed")
RESULT = "ks4_comparison"
"""The temporary table :func:`compare` leaves: class, key columns, indicator, old and new value, flag (and text)."""

TOTALS = ("total", "all pupils", "all")
"""How the option of a filter that stands for all of it may be called, in lower case; the likelier first."""


@dataclass(frozen=True)
class Comparison:
    """What is known of a comparison; its rows are in the temporary table :data:`RESULT`.

    Attributes:
        old, new: the versions.
        keys: the columns rows were matched by, under their newest names.
        key_is_unique: whether they tell rows apart in both versions.
        indicators: the indicators compared, under their newest names.
        has_text: whether some of these are text, so that there are columns ``old_text`` and ``new_text``.
        counts: rows of the result by class; every class is there.
        structure: what differs besides figures, as seen in the files.
        imputed: filters only one version has, and the option that stands for their total.
    """

    old: VersionNumber
    new: VersionNumber
    keys: tuple[str, ...]
    key_is_unique: bool
    indicators: tuple[str, ...]
    has_text: bool
    counts: Mapping[str, int]
    structure: tuple[Item, ...]
    imputed: Mapping[str, str | None]


def compare(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    old: VersionNumber,
    new: VersionNumber,
    unified: Sequence[UnifiedColumn],
) -> Comparison:
    """Compare two loaded versions and leave the changed cells in the temporary table :data:`RESULT`.

    Args:
        connection: to the warehouse, or to a build of it.
        schema: the data set's name.
        old: the earlier version.
        new: the later version.
        unified: the columns of these versions, and perhaps of others, with the names to use.
    """
    names = [column for column in unified if old in column.names or new in column.names]
    return _Pair(connection, schema, old, new, names).compare()


class _Pair:
    """One comparison in progress."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: str,
        old: VersionNumber,
        new: VersionNumber,
        columns: Sequence[UnifiedColumn],
    ) -> None:
        self._run = connection.execute
        self._schema = schema
        self._old = old
        self._new = new
        self._columns = columns
        self._structure: list[Item] = []
        self._imputed: dict[str, str | None] = {}
        self._indicators = [c for c in columns if c.role is Role.INDICATOR and self._in_both(c)]
        self._keys = [
            c for c in columns if c.role in {Role.TIME, Role.GEOGRAPHY, Role.FILTER} and c.name != FILE_VERSION
        ]

    def compare(self) -> Comparison:
        self._see_columns()
        self._see_location_groups()
        self._make_side("ks4_old", self._old)
        self._make_side("ks4_new", self._new)
        self._see_periods_and_levels()
        self._match_options()
        self._match_places()
        unique = self._is_unique()
        others = [c for c in self._columns if c.role is Role.OTHER and self._in_both(c) and c.name != FILE_VERSION]
        if not unique and others:
            self._keys += others
            unique = self._is_unique()
        if not unique:
            self._drop_equal_rows()
        has_text = any(not c.is_numeric for c in self._indicators)
        self._run(f"CREATE OR REPLACE TEMP TABLE {RESULT} AS {self._changes(unique=unique, has_text=has_text)}")
        counts = dict.fromkeys(CLASSES, 0) | dict(
            self._run(f"SELECT class, count(*) FROM {RESULT} GROUP BY class").fetchall()
        )
        self._run("DROP TABLE ks4_old; DROP TABLE ks4_new")
        return Comparison(
            self._old,
            self._new,
            tuple(c.name for c in self._keys),
            unique,
            tuple(c.name for c in self._indicators),
            has_text,
            counts,
            tuple(sorted(self._structure)),
            dict(self._imputed),
        )

    def _in_both(self, column: UnifiedColumn) -> bool:
        return self._old in column.names and self._new in column.names

    # --- structure ------------------------------------------------------------------------------------------------

    def _see_columns(self) -> None:
        kinds = {Role.FILTER: Kind.FILTER, Role.INDICATOR: Kind.INDICATOR}
        for column in self._columns:
            kind = kinds.get(column.role, Kind.COLUMN)
            before, after = column.names.get(self._old), column.names.get(self._new)
            if before is None and after is not None:
                self._structure.append(Item(kind, Action.ADDED, "", after))
            elif after is None and before is not None:
                self._structure.append(Item(kind, Action.REMOVED, "", before))
            elif before is not None and after is not None and before != after:
                self._structure.append(Item(kind, Action.CHANGED, "", after, before))

    def _see_location_groups(self) -> None:
        """Levels whose columns only one of the files has."""
        before = {c.names[self._old] for c in self._columns if self._old in c.names}
        after = {c.names[self._new] for c in self._columns if self._new in c.names}
        for level in GEOGRAPHIC_LEVELS:
            had, has = not before.isdisjoint(level.columns), not after.isdisjoint(level.columns)
            if had != has:
                action = Action.ADDED if has else Action.REMOVED
                self._structure.append(Item(Kind.LOCATION_GROUP, action, "", level.label))

    def _see_periods_and_levels(self) -> None:
        has = {c.name for c in self._columns if self._in_both(c)}
        if {"time_period", "time_identifier"} <= has:
            text = "coalesce(time_identifier, '') || ' ' || coalesce(time_period, '')"
            self._see_values(Kind.TIME_PERIOD, text)
        if "geographic_level" in has:
            self._see_values(Kind.GEOGRAPHIC_LEVEL, "geographic_level")

    def _see_values(self, kind: Kind, expression: str) -> None:
        for action, here, there in ((Action.REMOVED, "ks4_old", "ks4_new"), (Action.ADDED, "ks4_new", "ks4_old")):
            rows = self._run(f"SELECT {expression} FROM {here} EXCEPT SELECT {expression} FROM {there}").fetchall()
            self._structure += [Item(kind, action, "", value) for (value,) in rows if value is not None]

    # --- the two sides under common names ---------------------------------------------------------------------------

    def _make_side(self, name: str, version: VersionNumber) -> None:
        """A side as a view: all columns under their newest names, a filter it lacks as the other side's total."""
        parts = []
        for column in self._columns:
            if column in self._indicators:
                own = column.names[version]
                parts.append(self._cell(column, own))
                if column.is_numeric:
                    parts.append(f"{identifier(own + '_flag')} AS {identifier(column.flag)}")
            elif column.role is not Role.INDICATOR:
                own_name = column.names.get(version)
                value = identifier(own_name) if own_name else literal(self._total_of(column, version))
                parts.append(f"CAST({value} AS VARCHAR) AS {identifier(column.name)}")
        source = qualified(self._schema, version.table)
        self._run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {', '.join(parts)} FROM {source}")

    @staticmethod
    def _cell(column: UnifiedColumn, own: str) -> str:
        kind = "DOUBLE" if column.is_numeric else "VARCHAR"
        return f"CAST({identifier(own)} AS {kind}) AS {identifier(column.name)}"

    def _total_of(self, column: UnifiedColumn, lacking: VersionNumber) -> str | None:
        """The option of a filter that stands for all of it, in the version that has the filter."""
        if column.role is not Role.FILTER:
            return None
        having = self._new if lacking == self._old else self._old
        value = identifier(column.names[having])
        rows = self._run(
            f"SELECT DISTINCT {value} FROM {qualified(self._schema, having.table)} WHERE lower(trim({value})) IN "
            f"({', '.join(map(literal, TOTALS))})"
        ).fetchall()
        found = {label.strip().lower(): label for (label,) in rows}
        total = next((found[word] for word in TOTALS if word in found), None)
        self._imputed[column.name] = total
        return total

    # --- the same thing under another name ------------------------------------------------------------------------

    def _match_options(self) -> None:
        """Relabelled options, by id: old rows get the new label."""
        for column in self._keys:
            if column.role is not Role.FILTER or not self._in_both(column):
                continue
            name = identifier(column.name)
            renamed = dict(
                self._run(
                    f"SELECT o.label, n.label FROM {FILTER_OPTIONS.qualified} o JOIN {FILTER_OPTIONS.qualified} n "
                    "USING (data_set, filter_id, option_id) WHERE data_set = $data_set AND o.label <> n.label "
                    "AND o.version = $old AND n.version = $new AND o.column_name = $was AND n.column_name = $is",
                    {
                        "data_set": self._schema,
                        "old": str(self._old),
                        "new": str(self._new),
                        "was": column.names[self._old],
                        "is": column.names[self._new],
                    },
                ).fetchall()
            )
            if renamed:
                cases = " ".join(f"WHEN {literal(was)} THEN {literal(now)}" for was, now in renamed.items())
                self._run(f"UPDATE ks4_old SET {name} = CASE {name} {cases} ELSE {name} END")
            self._structure += [
                Item(Kind.FILTER_OPTION, Action.CHANGED, column.names[self._new], now, was)
                for was, now in renamed.items()
            ]
            for action, here, there in ((Action.REMOVED, "ks4_old", "ks4_new"), (Action.ADDED, "ks4_new", "ks4_old")):
                rows = self._run(f"SELECT {name} FROM {here} EXCEPT SELECT {name} FROM {there}").fetchall()
                self._structure += [
                    Item(Kind.FILTER_OPTION, action, column.names[self._new], value)
                    for (value,) in rows
                    if value is not None
                ]

    def _match_places(self) -> None:
        """Recoded and renamed places: old rows get the new codes and name, and each is reported once."""
        common = {c.name for c in self._keys if c.role is Role.GEOGRAPHY and self._in_both(c)}
        for level in GEOGRAPHIC_LEVELS:
            columns = [name for name in level.columns if name in common]
            if not columns:
                continue
            places = LevelPlaces(
                columns,
                level.name_column if level.name_column in columns else None,
                self._places("ks4_old", columns),
                self._places("ks4_new", columns),
                self._place_ids(self._old, level.code),
                self._place_ids(self._new, level.code),
            )
            matched = places.matched()
            for was, now in matched.items():
                self._rename_place(columns, was, now)
            self._structure += places.items(level.label, matched)

    def _places(self, side: str, columns: Sequence[str]) -> set[Place]:
        names = ", ".join(map(identifier, columns))
        rows = self._run(f"SELECT DISTINCT {names} FROM {side}").fetchall()
        return {tuple(row) for row in rows if any(part is not None for part in row)}

    def _place_ids(self, version: VersionNumber, level_code: str) -> dict[Place, str]:
        rows = self._run(
            f"SELECT location_id, label, code, old_code, urn, la_estab, ukprn FROM {LOCATIONS.qualified} "
            "WHERE data_set = ? AND version = ? AND level_code = ?",
            [self._schema, str(version), level_code],
        ).fetchall()
        return {cells_of(cells): place_id for place_id, *cells in rows}

    def _rename_place(self, columns: Sequence[str], was: Place, now: Place) -> None:
        assignments = ", ".join(f"{identifier(c)} = {literal(part)}" for c, part in zip(columns, now, strict=True))
        condition = " AND ".join(
            f"{identifier(c)} IS NOT DISTINCT FROM {literal(part)}" for c, part in zip(columns, was, strict=True)
        )
        self._run(f"UPDATE ks4_old SET {assignments} WHERE {condition}")

    # --- rows and cells ---------------------------------------------------------------------------------------------

    def _key_list(self, prefix: str = "") -> str:
        return ", ".join(f"{prefix}{identifier(c.name)}" for c in self._keys)

    def _is_unique(self) -> bool:
        """Whether the key tells rows apart in both versions."""
        if not self._keys:
            return False
        return not any(
            self._run(f"SELECT 1 FROM {side} GROUP BY {self._key_list()} HAVING count(*) > 1 LIMIT 1").fetchone()
            for side in ("ks4_old", "ks4_new")
        )

    def _compared(self) -> list[str]:
        cells = [c.name for c in self._indicators]
        flags = [c.flag for c in self._indicators if c.is_numeric]
        return [c.name for c in self._keys] + cells + flags

    def _drop_equal_rows(self) -> None:
        """Take away rows that both sides have, as often as both have them."""
        names = ", ".join(map(identifier, self._compared()))
        self._run(
            "CREATE OR REPLACE TEMP TABLE ks4_old_rest AS "
            f"SELECT {names} FROM ks4_old EXCEPT ALL SELECT {names} FROM ks4_new;"
            "CREATE OR REPLACE TEMP TABLE ks4_new_rest AS "
            f"SELECT {names} FROM ks4_new EXCEPT ALL SELECT {names} FROM ks4_old;"
            "DROP TABLE ks4_old; DROP TABLE ks4_new;"
            "ALTER TABLE ks4_old_rest RENAME TO ks4_old; ALTER TABLE ks4_new_rest RENAME TO ks4_new"
        )

    def _changes(self, *, unique: bool, has_text: bool) -> str:
        """The query for the result."""
        sides = {side: self._numbered(side, apart, unique=unique) for side, apart in (("ks4_old", 1), ("ks4_new", 2))}
        joins = [f"o.{identifier(c.name)} IS NOT DISTINCT FROM n.{identifier(c.name)}" for c in self._keys]
        joins.append("o.ks4_pair = n.ks4_pair")
        keys = ", ".join(
            f"CASE WHEN n.ks4_here THEN n.{identifier(c.name)} ELSE o.{identifier(c.name)} END AS {identifier(c.name)}"
            for c in self._keys
        )
        changed = " OR ".join(
            ["o.ks4_here IS NULL", "n.ks4_here IS NULL", *(self._differs(c) for c in self._indicators)]
        )
        whole = self._struct("CASE WHEN o.ks4_here IS NULL THEN 'added' ELSE 'removed' END", None, has_text=has_text)
        cells = ", ".join(self._struct(self._class(c), c, has_text=has_text) for c in self._indicators)
        found = f"list_filter([{cells}], lambda cell: cell.class IS NOT NULL)" if cells else "[]"
        cell = f"unnest(CASE WHEN o.ks4_here IS NULL OR n.ks4_here IS NULL THEN [{whole}] ELSE {found} END)"
        fields = ["indicator", "old_value", "old_flag", "new_value", "new_flag"]
        fields += ["old_text", "new_text"] if has_text else []
        separator = ", " if keys else ""
        return (
            f"SELECT cell.class AS class{separator}{self._key_list()}, {', '.join(f'cell.{f} AS {f}' for f in fields)} "
            f"FROM (SELECT {keys}{separator}{cell} AS cell FROM {sides['ks4_old']} o FULL JOIN {sides['ks4_new']} n "
            f"ON {' AND '.join(joins)} WHERE {changed})"
        )

    def _numbered(self, side: str, apart: int, *, unique: bool) -> str:
        """A side's rows; those that share their key get a number of their side's own, so that they match nothing.

        Which of them became which of the other side's is not known.
        """
        alone = f"count(*) OVER (PARTITION BY {self._key_list() or '1'}) = 1"
        pair = "0" if unique else f"CASE WHEN {alone} THEN 0 ELSE {apart} END"
        return f"(SELECT *, true AS ks4_here, {pair} AS ks4_pair FROM {side})"

    @staticmethod
    def _differs(column: UnifiedColumn) -> str:
        names = [column.name, column.flag] if column.is_numeric else [column.name]
        return " OR ".join(f"o.{identifier(name)} IS DISTINCT FROM n.{identifier(name)}" for name in names)

    def _class(self, column: UnifiedColumn) -> str:
        """The class of a cell; NULL when it is unchanged."""
        if not column.is_numeric:
            return f"CASE WHEN {self._differs(column)} THEN 'revised' END"
        flag = identifier(column.flag)
        return (
            f"CASE WHEN NOT ({self._differs(column)}) THEN NULL "
            f"WHEN o.{flag} IS NULL AND n.{flag} IS NULL THEN 'revised' "
            f"WHEN o.{flag} IS NULL THEN 'suppressed' WHEN n.{flag} IS NULL THEN 'released' ELSE 'reflagged' END"
        )

    @staticmethod
    def _struct(kind: str, column: UnifiedColumn | None, *, has_text: bool) -> str:
        numeric = column is not None and column.is_numeric
        fields = {"class": kind, "indicator": literal(column.name) if column else "CAST(NULL AS VARCHAR)"}
        for side, prefix in (("old", "o"), ("new", "n")):
            value = f"{prefix}.{identifier(column.name)}" if column else ""
            flag = f"{prefix}.{identifier(column.flag)}" if column else ""
            fields[f"{side}_value"] = value if numeric else "CAST(NULL AS DOUBLE)"
            fields[f"{side}_flag"] = flag if numeric else "CAST(NULL AS VARCHAR)"
            if has_text:
                fields[f"{side}_text"] = value if column is not None and not numeric else "CAST(NULL AS VARCHAR)"
        return "{" + ", ".join(f"'{name}': {expression}" for name, expression in fields.items()) + "}"
