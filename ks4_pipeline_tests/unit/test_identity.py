"""Which columns of different versions are the same column."""

from __future__ import annotations

from ks4_pipeline.columns import Role
from ks4_pipeline.identity import StoredColumn, unify
from ks4_pipeline.versions import VersionNumber

V1, V2, V3 = VersionNumber(1, 0), VersionNumber(2, 0), VersionNumber(3, 0)


def figure(name: str, column_id: str, *, numeric: bool = True) -> StoredColumn:
    return StoredColumn(name, Role.INDICATOR, numeric, column_id)


def plain(name: str) -> StoredColumn:
    return StoredColumn(name, Role.OTHER, is_numeric=False)


def test_a_renamed_column_is_one_column_under_its_newest_name() -> None:
    (column,) = unify({V1: [figure("old", "a")], V2: [figure("new", "a")]})
    assert (column.name, column.names) == ("new", {V1: "old", V2: "new"})


def test_a_column_that_was_dropped_and_came_back_with_a_new_id_is_one_column() -> None:
    (column, other) = unify({V1: [figure("x", "a")], V2: [figure("y", "b")], V3: [figure("x", "c"), figure("y", "b")]})
    assert (column.name, column.names) == ("x", {V1: "x", V3: "x"})
    assert other.names == {V2: "y", V3: "y"}


def test_two_columns_of_one_version_are_never_merged_though_names_move_between_them() -> None:
    columns = unify({V1: [figure("x", "a"), figure("y", "b")], V2: [figure("x", "b")]})
    assert [(column.name, dict(column.names)) for column in columns] == [("x", {V1: "y", V2: "x"}), ("x_a", {V1: "x"})]


def test_ids_are_compared_within_their_kind_only() -> None:
    same_id = StoredColumn("place", Role.FILTER, is_numeric=False, id="a")
    columns = unify({V1: [same_id, figure("n", "a")], V2: [same_id, figure("n", "a")]})
    assert [column.name for column in columns] == ["place", "n"]


def test_columns_stand_in_the_order_of_the_newest_version_and_older_ones_behind() -> None:
    columns = unify({V1: [plain("gone"), plain("a"), plain("b")], V2: [plain("b"), plain("a"), plain("new")]})
    assert [column.name for column in columns] == ["b", "a", "new", "gone"]


def test_a_figure_that_became_a_text_is_a_text_whose_flags_are_kept() -> None:
    (column,) = unify({V1: [figure("x", "a")], V2: [figure("x", "a", numeric=False)]})
    assert not column.is_numeric
    assert column.numeric_in == {V1}


def test_no_name_is_given_twice_whatever_its_case_nor_one_that_a_flag_needs() -> None:
    columns = unify(
        {V1: [figure("x", "a"), plain("Published")], V2: [plain("X_Flag"), plain("y")]}, reserved=["published"]
    )
    names = [column.name for column in columns] + [column.flag for column in columns if column.has_flag]
    assert len({name.lower() for name in [*names, "published"]}) == len(names) + 1
    assert "Published_in_file" in names
