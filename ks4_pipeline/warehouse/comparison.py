"""Two versions of a data set compared cell by cell, in SQL, from their tables in the warehouse.

Before rows are matched, what is the same thing under another name is given the newer name: columns and filter options
by the publisher's id, places by id, by name or by code. Rows are matched by time, geography and filters, without the
file's own column ``version`` (Provisional, Revised, Final), which flips for the same cell. A filter that only one
version has counts as its total in the other. Where that key is not unique, rows are matched as a multiset: rows wholly
alike are the same, a single row left on each side is compared cell by cell, and all others are removed and added.

Both sides stay where they are: they are views, and their keys and flags are numbers (ENUM) while rows are matched,
which takes a quarter of the room that texts take: two versions of ten million rows are compared in bounded memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ks4_pipeline.columns import FILE_VERSION, TOTALS, Role
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS
from ks4_pipeline.identity import UnifiedColumn
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.places import LevelPlaces, Place, cells_of
from ks4_pipeline.structure import Action, Item, Kind
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.schema import FILTER_OPTIONS, LOCATIONS
from ks4_pipeline.warehouse.sql import figure_text, free_name, identifier, in_any_order, literal, qualified

CLASSES = ("revised", "suppressed", "released", "reflagged", "added", "removed")
RESULT = "ks4_comparison"
"""The temporary view :func:`compare` leaves: class, key columns, indicator, old and new value, flag (and text)."""

_CHANGES = "ks4_changes"  # what the view shows, its texts as numbers (ENUM): a quarter of the room again
_CODED = ("ks4_old_coded", "ks4_new_coded")


@dataclass(frozen=True)
class Comparison:
    """What is known of a comparison; its rows are in the temporary view :data:`RESULT`.

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


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Take away what :func:`compare` left."""
    connection.execute(f"DROP VIEW IF EXISTS {RESULT}; DROP TABLE IF EXISTS {_CHANGES}")


def compare(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    old: VersionNumber,
    new: VersionNumber,
    unified: Sequence[UnifiedColumn],
) -> Comparison:
    """Compare two loaded versions and leave the changed cells in the temporary view :data:`RESULT`.

    Args:
        connection: to the warehouse, or to a build of it.
        schema: the data set's name.
        old: the earlier version.
        new: the later version.
        unified: the columns of these versions, and perhaps of others, with the names to use.
    """
    names = [column.among(old, new) for column in unified if old in column.names or new in column.names]
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
        self._connection = connection
        self._run = connection.execute
        self._schema = schema
        self._old = old
        self._new = new
        self._columns = columns
        self._structure: list[Item] = []
        self._newer_names: dict[str, str] = {}
        self._newer_places: dict[str, str] = {}
        self._imputed: dict[str, str | None] = {}
        self._texts_of_keys: dict[str, set[str]] = {}
        self._indicators = [c for c in columns if c.role is Role.INDICATOR and self._in_both(c)]
        names = [name for c in columns for name in (c.name, c.flag)]
        self._here, self._pair, self._found = (free_name(f"ks4_{word}", names) for word in ("here", "pair", "cell"))
        self._keys = [
            c for c in columns if c.role in {Role.TIME, Role.GEOGRAPHY, Role.FILTER} and c.name != FILE_VERSION
        ]

    def compare(self) -> Comparison:
        forget(self._connection)
        self._see_columns()
        self._see_location_groups()
        self._make_side("ks4_old_file", self._old)
        self._make_side("ks4_new_file", self._new)
        self._rename_old()
        self._run("CREATE OR REPLACE TEMP VIEW ks4_new AS FROM ks4_new_file")
        self._match_options()
        self._match_places()
        self._see_values()
        self._code()
        unique = self._is_unique()
        others = [c for c in self._columns if c.role is Role.OTHER and self._in_both(c) and c.name != FILE_VERSION]
        if not unique and others:
            self._keys += others
            self._code()
            unique = self._is_unique()
        sides = _CODED if unique else self._rows_apart()
        has_text = any(not c.is_numeric for c in self._indicators)
        with in_any_order(self._connection):
            changes = self._changes(sides, unique=unique, has_text=has_text)
            self._run(f"CREATE TEMP TABLE {_CHANGES} AS {changes}")
        texts = ["class", *(c.name for c in self._keys), "indicator", "old_flag", "new_flag"]
        plain = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in map(identifier, texts))
        self._run(f"CREATE TEMP VIEW {RESULT} AS SELECT * REPLACE ({plain}) FROM {_CHANGES}")
        counts = dict.fromkeys(CLASSES, 0) | dict(
            self._run(f"SELECT class, count(*) FROM {RESULT} GROUP BY class").fetchall()
        )
        self._clear()
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

    def _clear(self) -> None:
        """Take away what was made for the comparison, in the order of what rests on what."""
        for side in ("old", "new"):
            self._run(f"DROP VIEW ks4_{side}_coded; DROP VIEW ks4_{side}; DROP VIEW ks4_{side}_file")
            self._run(f"DROP TABLE IF EXISTS ks4_{side}_rest")
        for table in self._newer_places:
            self._run(f"DROP TABLE {table}")

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

    def _see_values(self) -> None:
        """Periods, levels and options that only one side has; what else keys hold is kept for :meth:`_code`."""
        both = [column for column in self._columns if self._in_both(column)]
        has = {column.name for column in both}
        seen = [
            (Kind.FILTER_OPTION, column.names[self._new], identifier(column.name))
            for column in both
            if column in self._keys and column.role is Role.FILTER
        ]
        if {"time_period", "time_identifier"} <= has:
            seen.append((Kind.TIME_PERIOD, "", "nullif(concat_ws(' ', time_identifier, time_period), '')"))
        if "geographic_level" in has:
            seen.append((Kind.GEOGRAPHIC_LEVEL, "", identifier("geographic_level")))
        keys = [identifier(column.name) for column in self._keys]
        wanted = dict.fromkeys([*keys, *(expression for *_, expression in seen)])
        old, new = (self._texts(side, wanted) for side in ("ks4_old", "ks4_new"))
        self._texts_of_keys = {name: old[name] | new[name] for name in keys}
        for kind, within, expression in seen:
            for action, here, there in ((Action.REMOVED, old, new), (Action.ADDED, new, old)):
                self._structure += [Item(kind, action, within, text) for text in here[expression] - there[expression]]

    def _texts(self, side: str, expressions: Collection[str]) -> dict[str, set[str]]:
        """What a side has of each of these, NULL left out: in one pass, for a fraction of what EXCEPT takes."""
        found: dict[str, set[str]] = {expression: set() for expression in expressions}
        if found:
            names = [f"text_{index}" for index in range(len(found))]
            parts = ", ".join(f"{expression} AS {name}" for expression, name in zip(found, names, strict=True))
            sets = ", ".join(f"({name})" for name in names)
            query = f"SELECT * FROM (SELECT {parts} FROM {side}) GROUP BY GROUPING SETS ({sets})"
            for texts, column in zip(found.values(), zip(*self._run(query).fetchall(), strict=True), strict=False):
                texts.update(text for text in column if text is not None)
        return found

    # --- the two sides under common names ---------------------------------------------------------------------------

    def _make_side(self, name: str, version: VersionNumber) -> None:
        """A side as a view: all columns under their newest names, a filter it lacks as the other side's total."""
        parts = [f"true AS {self._here}"]
        for column in self._columns:
            if column in self._indicators:
                parts.append(f"{self._cell(column, version)} AS {identifier(column.name)}")
                if column.is_numeric:
                    parts.append(f"{identifier(column.names[version] + '_flag')} AS {identifier(column.flag)}")
            elif column.role is not Role.INDICATOR:
                has = version in column.names
                value = self._cell(column, version) if has else literal(self._total_of(column, version))
                parts.append(f"CAST({value} AS VARCHAR) AS {identifier(column.name)}")
        source = qualified(self._schema, version.table)
        self._run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {', '.join(parts)} FROM {source}")

    @staticmethod
    def _cell(column: UnifiedColumn, version: VersionNumber) -> str:
        """A version's cell: a figure, or a text; where other versions have texts, a figure's text as published."""
        own = column.names[version]
        if column.is_numeric or version not in column.numeric_in:
            return identifier(own)
        return f"coalesce({figure_text(identifier(own))}, {identifier(own + '_flag')})"

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
        relabelled: dict[tuple[str, str], dict[str, str]] = {}
        for was, now, before, after in self._run(
            f"SELECT o.column_name, n.column_name, o.label, n.label FROM {FILTER_OPTIONS.qualified} o "
            f"JOIN {FILTER_OPTIONS.qualified} n USING (data_set, filter_id, option_id) "
            "WHERE data_set = ? AND o.label <> n.label AND o.version = ? AND n.version = ?",
            [self._schema, str(self._old), str(self._new)],
        ).fetchall():
            relabelled.setdefault((was, now), {})[before] = after
        for column in self._keys:
            if column.role is not Role.FILTER or not self._in_both(column):
                continue
            name, now = identifier(column.name), column.names[self._new]
            renamed = relabelled.get((column.names[self._old], now), {})
            if renamed:
                cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in renamed.items())
                self._newer_names[column.name] = f"CASE ks4_file.{name} {cases} ELSE ks4_file.{name} END"
            self._structure += [Item(Kind.FILTER_OPTION, Action.CHANGED, now, new, old) for old, new in renamed.items()]
        if self._newer_names:
            self._rename_old()

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
            if matched:
                self._rename_places(columns, matched)
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

    def _rename_places(self, columns: Sequence[str], matched: Mapping[Place, Place]) -> None:
        """Give old rows the newer codes and name of their place."""
        table = f"ks4_places_{len(self._newer_places)}"
        width = len(columns)
        definitions = ", ".join(f"{side}_{index} VARCHAR" for side in ("was", "now") for index in range(width))
        self._run(f"CREATE OR REPLACE TEMP TABLE {table} ({definitions}, here BOOLEAN)")
        rows = ", ".join(f"({', '.join(map(literal, (*was, *now)))}, true)" for was, now in matched.items())
        self._run(f"INSERT INTO {table} VALUES {rows}")
        same = " AND ".join(
            f"ks4_file.{identifier(name)} IS NOT DISTINCT FROM {table}.was_{index}"
            for index, name in enumerate(columns)
        )
        self._newer_places[table] = same
        for index, name in enumerate(columns):
            self._newer_names[name] = (
                f"CASE WHEN {table}.here THEN {table}.now_{index} ELSE ks4_file.{identifier(name)} END"
            )
        self._rename_old()

    def _rename_old(self) -> None:
        """The older side under the newer names found so far."""
        newer = ", ".join(f"{value} AS {identifier(name)}" for name, value in self._newer_names.items())
        replaced = f" REPLACE ({newer})" if newer else ""
        joins = "".join(f" LEFT JOIN {table} ON {same}" for table, same in self._newer_places.items())
        self._run(
            f"CREATE OR REPLACE TEMP VIEW ks4_old AS SELECT ks4_file.*{replaced} FROM ks4_old_file AS ks4_file{joins}"
        )

    # --- rows and cells ---------------------------------------------------------------------------------------------

    def _key_list(self, prefix: str = "") -> str:
        return ", ".join(f"{prefix}{identifier(c.name)}" for c in self._keys)

    def _code(self) -> None:
        """Make both sides anew with a small number in the place of each text of a key, and of each marker."""
        codes = {}
        for index, column in enumerate(self._keys):
            name, kind = identifier(column.name), f"ks4_key_{index}"
            create, texts = f"CREATE OR REPLACE TEMP TYPE {kind} AS ENUM", self._texts_of_keys.get(name)
            if texts is not None:
                self._run(f"{create} (SELECT unnest(CAST(? AS VARCHAR[])))", [sorted(texts)])
            else:  # a column that nobody described may hold a text of its own in every row
                both = f"SELECT {name} AS text FROM ks4_old UNION SELECT {name} FROM ks4_new"
                self._run(f"{create} (SELECT text FROM ({both}) WHERE text IS NOT NULL)")
            codes[name] = kind
        self._run(f"CREATE OR REPLACE TEMP TYPE ks4_marker AS ENUM ({', '.join(map(literal, MARKERS))})")
        self._run(f"CREATE OR REPLACE TEMP TYPE ks4_class AS ENUM ({', '.join(map(literal, CLASSES))})")
        names = [c.name for c in self._indicators] or ["none"]
        self._run(f"CREATE OR REPLACE TEMP TYPE ks4_indicator AS ENUM ({', '.join(map(literal, names))})")
        codes |= {identifier(column.flag): "ks4_marker" for column in self._indicators if column.is_numeric}
        coded = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in codes.items())
        for side in ("ks4_old", "ks4_new"):
            replaced = f" REPLACE ({coded})" if coded else ""
            self._run(f"CREATE OR REPLACE TEMP VIEW {side}_coded AS SELECT *{replaced} FROM {side}")

    def _is_unique(self) -> bool:
        """Whether the key tells rows apart in both versions."""
        if not self._keys:
            return False
        return not any(
            self._run(f"SELECT 1 FROM {side} GROUP BY {self._key_list()} HAVING count(*) > 1 LIMIT 1").fetchone()
            for side in _CODED
        )

    def _compared(self) -> list[str]:
        cells = [c.name for c in self._indicators]
        flags = [c.flag for c in self._indicators if c.is_numeric]
        return [c.name for c in self._keys] + cells + flags

    def _rows_apart(self) -> tuple[str, str]:
        """The sides without the rows that both have, as often as both have them."""
        names = ", ".join(map(identifier, [self._here, *self._compared()]))
        old, new = _CODED
        for side, here, there in (("ks4_old_rest", old, new), ("ks4_new_rest", new, old)):
            rest = f"SELECT {names} FROM {here} EXCEPT ALL SELECT {names} FROM {there}"
            self._run(f"CREATE OR REPLACE TEMP TABLE {side} AS {rest}")
        return "ks4_old_rest", "ks4_new_rest"

    def _changes(self, sides: tuple[str, str], *, unique: bool, has_text: bool) -> str:
        """The query for the result."""
        old, new = (self._numbered(side, apart, unique=unique) for apart, side in enumerate(sides, 1))
        joins = [f"o.{identifier(c.name)} IS NOT DISTINCT FROM n.{identifier(c.name)}" for c in self._keys]
        joins.append(f"o.{self._pair} = n.{self._pair}")
        keys = ", ".join(
            f"CASE WHEN n.{self._here} THEN n.{name} ELSE o.{name} END AS {name}"
            for name in (identifier(c.name) for c in self._keys)
        )
        gone, come = f"n.{self._here} IS NULL", f"o.{self._here} IS NULL"
        changed = " OR ".join([come, gone, *(self._differs(c) for c in self._indicators)])
        whole = self._struct(f"CASE WHEN {come} THEN 'added' ELSE 'removed' END", None, has_text=has_text)
        cells = ", ".join(self._struct(self._class(c), c, has_text=has_text) for c in self._indicators)
        found = f"list_filter([{cells}], lambda {self._found}: {self._found}.class IS NOT NULL)" if cells else "[]"
        cell = f"unnest(CASE WHEN {come} OR {gone} THEN [{whole}] ELSE {found} END)"
        fields = ["indicator", "old_value", "old_flag", "new_value", "new_flag"]
        fields += ["old_text", "new_text"] if has_text else []
        separator = ", " if keys else ""
        return (
            f"SELECT {self._found}.class AS class{separator}{self._key_list()}, "
            f"{', '.join(f'{self._found}.{field} AS {field}' for field in fields)} "
            f"FROM (SELECT {keys}{separator}{cell} AS {self._found} FROM {old} o FULL JOIN {new} n "
            f"ON {' AND '.join(joins)} WHERE {changed})"
        )

    def _numbered(self, side: str, apart: int, *, unique: bool) -> str:
        """A side's rows; those that share their key get a number of their side's own, so that they match nothing.

        Which of them became which of the other side's is not known.
        """
        alone = f"count(*) OVER (PARTITION BY {self._key_list() or '1'}) = 1"
        pair = "0" if unique else f"CASE WHEN {alone} THEN 0 ELSE {apart} END"
        return f"(SELECT *, {pair} AS {self._pair} FROM {side})"

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
        indicator = literal(column.name if column else None)
        fields = {"class": f"CAST({kind} AS ks4_class)", "indicator": f"CAST({indicator} AS ks4_indicator)"}
        for side, prefix in (("old", "o"), ("new", "n")):
            value = f"{prefix}.{identifier(column.name)}" if column else ""
            flag = f"{prefix}.{identifier(column.flag)}" if column else ""
            fields[f"{side}_value"] = value if numeric else "CAST(NULL AS DOUBLE)"
            fields[f"{side}_flag"] = flag if numeric else "CAST(NULL AS ks4_marker)"
            if has_text:
                fields[f"{side}_text"] = value if column is not None and not numeric else "CAST(NULL AS VARCHAR)"
        return "{" + ", ".join(f"'{name}': {expression}" for name, expression in fields.items()) + "}"
