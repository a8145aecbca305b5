"""Data set descriptions: what they may say, what is filled in, and how a bad one is told."""

from datetime import UTC, datetime, timedelta

import pytest

from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.sandbox.authoring import write_data_set
from ks4_pipeline.sandbox.description import read_description, read_descriptions
from ks4_pipeline.sandbox.errors import DescriptionError
from ks4_pipeline.sandbox.history import data_set_from
from ks4_pipeline.versions import VersionNumber

ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
OTHER_ID = "1f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"


def described(tmp_path, **keys):
    """A data set as the sandbox understands it, of the given versions."""
    versions = [{"file": "data.csv", **version} for version in keys.pop("versions", [{"version": "1.0"}])]
    path = write_data_set(
        tmp_path / "set", {"id": ID, "title": "A set", "versions": versions, **keys}, {"data.csv": "a\n1\n"}
    )
    return data_set_from(read_description(path))


def test_a_description_reads_back_as_it_was_written(tmp_path):
    everything = {
        "id": ID,
        "title": 'Quotes " and \\ and ü and\nlines',
        "summary": "A\tB",
        "status": "Deprecated",
        "superseding_data_set_id": OTHER_ID,
        "publication": {"id": OTHER_ID, "title": "P", "slug": "p", "summary": "s"},
        "filters": [{"column": "select", "label": "S", "hint": "h"}],
        "indicators": [{"column": 'a"b', "label": "I", "unit": "£m", "decimal_places": 0}],
        "versions": [
            {
                "version": "1.0.1",
                "file": "data.csv",
                "published": datetime(2026, 3, 31, 9, 30, 0, 120000, UTC),
                "notes": "n",
                "status": "Withdrawn",
                "withdrawn": datetime(2026, 4, 1, tzinfo=UTC),
                "held": True,
                "file_id": OTHER_ID,
                "release": {"title": "R", "slug": "r"},
                "total_results": 999,
                "file_name": "f.csv",
                "filters": [{"column": "b", "label": "B", "was": "select"}],
                "indicators": [],
                "renamed_options": [{"filter": "b", "from": "x", "to": "y"}],
                "renamed_locations": [{"level": "LA", "from": "E1", "to": "E2"}],
                "preview_token": OTHER_ID,
            }
        ],
    }
    first = write_data_set(tmp_path / "one", everything, {"data.csv": "a\n"})
    read = read_description(first)
    assert read_description(write_data_set(tmp_path / "two", read)) == read
    assert read.title == everything["title"]
    assert read.versions[0].renamed_options[0].old == "x"


def test_a_csv_may_lie_anywhere(tmp_path):
    (tmp_path / "elsewhere.csv").write_text("a\n")
    data_set = described(tmp_path, versions=[{"version": "1.0", "file": str(tmp_path / "elsewhere.csv")}])
    assert data_set.versions[0].file == tmp_path / "elsewhere.csv"


def test_a_patch_shares_file_id_and_release_with_the_version_it_patches(tmp_path):
    release = {"title": "Academic year 2024/25", "slug": "2024-25"}
    data_set = described(
        tmp_path,
        versions=[
            {"version": "1.1"},
            {"version": "1.0.2"},
            {"version": "1.0.1"},
            {"version": "1.0", "release": release},
        ],
    )
    first, one, two, minor = data_set.versions
    assert first.file_id == one.file_id == two.file_id != minor.file_id
    assert first.release == one.release == two.release != minor.release
    assert first.release.title == "Academic year 2024/25"


def test_what_is_left_out_is_made_up_in_the_same_way_each_time(tmp_path):
    one, two = (described(tmp_path, versions=[{"version": "1.0"}, {"version": "2.0"}]) for _ in range(2))
    assert one == two
    assert one.versions[0].published < one.versions[1].published
    assert one.publication.title == "Publication of A set"
    assert one.publication.slug == "publication-of-a-set"


def test_a_moment_without_a_zone_is_utc_and_one_with_a_zone_becomes_utc(tmp_path):
    path = write_data_set(tmp_path / "set", {"id": ID, "title": "t", "versions": [{"version": "1.0", "file": "d.csv"}]})
    (tmp_path / "set/d.csv").write_text("a\n")
    for moment in ("2026-06-01T10:30:00+01:00", "2026-06-01T09:30:00", "2026-06-01T09:30:00Z"):
        text = f'id = "{ID}"\ntitle = "t"\n[[versions]]\nversion = "1.0"\nfile = "d.csv"\npublished = {moment}\n'
        path.write_text(text)
        published = read_description(path).versions[0].published
        assert published == datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
        assert published.utcoffset() == timedelta(0)


def test_filters_and_indicators_hold_until_a_version_replaces_them(tmp_path):
    data_set = described(
        tmp_path,
        filters=[{"column": "a", "label": "A"}],
        indicators=[{"column": "x", "label": "X"}],
        versions=[
            {"version": "1.0"},
            {"version": "1.1", "indicators": [{"column": "y", "label": "Y", "was": "x"}]},
            {"version": "1.2"},
            {"version": "2.0", "filters": []},
        ],
    )
    assert [[entry.column for entry in version.indicators] for version in data_set.versions] == [
        ["x"],
        ["y"],
        ["y"],
        ["y"],
    ]
    assert [[entry.column for entry in version.filters] for version in data_set.versions] == [["a"], ["a"], ["a"], []]


@pytest.mark.parametrize(
    ("versions", "number", "predecessor"),
    [
        ([("1.0", 1)], "1.0", None),
        ([("1.0", 1), ("1.1", 2)], "1.1", "1.0"),
        ([("1.0", 1), ("1.0.1", 2), ("1.1", 3)], "1.1", "1.0.1"),
        ([("1.0", 1), ("1.1", 2), ("1.0.1", 3)], "1.1", "1.0"),
        ([("1.0", 1), ("1.1", 2), ("1.0.1", 3)], "1.0.1", "1.0"),
        ([("1.9", 1), ("1.10", 2), ("2.0", 3)], "2.0", "1.10"),
    ],
)
def test_each_version_follows_the_one_that_was_live_before_it(tmp_path, versions, number, predecessor):
    described_versions = [
        {"version": version, "published": datetime(2026, month, 1, tzinfo=UTC)} for version, month in versions
    ]
    data_set = described(tmp_path, versions=described_versions)
    found = next(version for version in data_set.versions if str(version.number) == number)
    assert found.predecessor == (VersionNumber.parse(predecessor) if predecessor else None)


def test_versions_that_never_were_public_are_nobodys_predecessor(tmp_path):
    data_set = described(
        tmp_path, versions=[{"version": "1.0"}, {"version": "1.1", "status": "Failed"}, {"version": "2.0"}]
    )
    assert data_set.versions[2].predecessor == VersionNumber(1, 0)


BASE = f'id = "{ID}"\ntitle = "t"\n'
VERSION = '[[versions]]\nversion = "1.0"\nfile = "data.csv"\n'


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("id = ", "", "cannot be read as TOML"),
        (f'title = "t"\n{VERSION}', "id:", "Field required"),
        (f'id = "nonsense"\ntitle = "t"\n{VERSION}', "id:", "UUID"),
        (BASE, "versions:", "Field required"),
        (f"{BASE}versions = []\n", "versions:", "at least 1 item"),
        (f"{BASE}colour = 1\n{VERSION}", "colour:", "Extra inputs are not permitted"),
        (f'{BASE}{VERSION}publisched = "x"\n', "versions[0].publisched:", "Extra inputs are not permitted"),
        (f"{BASE}{VERSION.replace('1.0', 'latest')}", "versions[0].version:", "not an exact version number"),
        (f'{BASE}[[versions]]\nversion = 1.0\nfile = "data.csv"\n', "versions[0].version:", "text in quotes"),
        (f'{BASE}{VERSION}status = "published"\n', "versions[0].status:", "'Published'"),
        (f'{BASE}[[filters]]\ncolumn = "a"\n{VERSION}', "filters[0].label:", "Field required"),
        (f"{BASE}{VERSION}{VERSION}", "versions[1].version:", "described twice"),
        (f"{BASE}{VERSION.replace('data.csv', 'gone.csv')}", "versions[0].file:", "there is no file"),
        (f"{BASE}{VERSION}total_results = -1\n", "versions[0].total_results:", "greater than or equal to 0"),
    ],
)
def test_a_bad_description_is_told_by_file_and_key(tmp_path, text, key, says):
    (tmp_path / "data.csv").write_text("a\n")
    path = tmp_path / "data_set.toml"
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        read_description(path)
    assert str(caught.value).startswith(f"{path}: {key}")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert isinstance(caught.value, ConfigurationError)


def test_two_data_sets_with_one_id_are_refused(tmp_path):
    for name in ("a", "b"):
        write_data_set(
            tmp_path / name, {"id": ID, "title": "t", "versions": [{"version": "1.0", "file": "d.csv"}]}, {"d.csv": ""}
        )
    with pytest.raises(DescriptionError, match="is also the id in"):
        read_descriptions(tmp_path)


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(DescriptionError, match="is not a folder"):
        read_descriptions(tmp_path / "nowhere")


def test_an_empty_root_has_no_data_sets(tmp_path):
    assert read_descriptions(tmp_path) == ()
