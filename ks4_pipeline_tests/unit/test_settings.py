"""Configuration: what is read from where, and that each fault names its key and what would be right."""

from pathlib import Path

import pytest

from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.settings import (
    DEFAULT_API_URL,
    DEFAULT_ID,
    DEFAULT_NAME,
    DataSet,
    Settings,
    config_path,
    load_settings,
)

ID = "019d431f-519e-7527-999a-8019a8016012"


@pytest.fixture
def read(tmp_path):
    """Settings from a file with some text, and an environment beside ``KS4_CONFIG``."""

    def load(text, **environ):
        path = tmp_path / "my.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings({"KS4_CONFIG": str(path), **environ})

    return load


def test_without_anything_there_is_the_one_default_data_set():
    settings = load_settings({})
    assert settings == Settings()
    assert (settings.api_url, settings.data_dir) == (DEFAULT_API_URL, Path("data"))
    assert settings.data_sets == (DataSet(name=DEFAULT_NAME, id=DEFAULT_ID),)


def test_everything_lies_below_the_data_directory(tmp_path):
    settings = load_settings({"KS4_DATA_DIR": str(tmp_path)})
    assert settings.landing_dir == tmp_path / "landing"
    assert settings.observations_dir == tmp_path / "observations"
    assert settings.warehouse == tmp_path / "warehouse.duckdb"


def test_the_file_is_looked_for_in_the_data_directory(tmp_path):
    assert config_path({"KS4_DATA_DIR": str(tmp_path)}) == tmp_path / "ks4.toml"
    (tmp_path / "ks4.toml").write_text(f'[data_sets.ks4_la]\nid = "{ID}"\n')
    settings = load_settings({"KS4_DATA_DIR": str(tmp_path)})
    assert settings.data_sets == (DataSet(name="ks4_la", id=ID),)
    assert settings.data_dir == tmp_path


def test_the_environment_comes_first(read):
    settings = read(
        'api_url = "http://localhost:1/a"\ndata_dir = "here"\n', KS4_API_URL="http://localhost:2/b/", KS4_DATA_DIR="/d"
    )
    assert (settings.api_url, settings.data_dir) == ("http://localhost:2/b", Path("/d"))


def test_a_relative_data_directory_counts_from_the_file(read, tmp_path):
    assert read('data_dir = "here"').data_dir == tmp_path / "here"


def test_empty_variables_count_as_absent():
    assert load_settings({"KS4_API_URL": "", "KS4_DATA_DIR": "", "KS4_CONFIG": ""}) == Settings()


def test_data_sets_keep_the_order_of_the_file_and_ids_become_lower_case(read):
    settings = read(f'[data_sets.b]\nid = "{ID.upper()}"\n[data_sets.a]\nid = "{DEFAULT_ID}"\n')
    assert settings.data_sets == (DataSet(name="b", id=ID), DataSet(name="a", id=DEFAULT_ID))
    assert settings.data_set("a").id == DEFAULT_ID
    with pytest.raises(ConfigurationError, match=r"under the name 'c'\. Followed: b, a"):
        settings.data_set("c")


A = f'[data_sets.a]\nid = "{ID}"\n'
BAD_FILES = {
    "unknown key": ("dat_dir = 'x'", "dat_dir: unknown key"),
    "two unknown keys": ("x = 1\ny = 2", "y: unknown key"),
    "unknown key of a data set": (f"{A}idd = 1", "data_sets.a.idd: unknown key"),
    "name in the table": (f"{A}name = 'b'", "[data_sets.a] has the unknown key name"),
    "no id": ("[data_sets.a]", "data_sets.a.id: this key is needed"),
    "bad id": ("[data_sets.a]\nid = 'x'", "data_sets.a.id: 'x' is not a data set id"),
    "number for an id": ("[data_sets.a]\nid = 5", "data_sets.a.id: "),
    "id with other digits": (f"[data_sets.a]\nid = '\u0661{ID[1:]}'", "data_sets.a.id: "),
    "capitals in a name": (f"[data_sets.Ks4]\nid = '{ID}'", "data_sets.Ks4: 'Ks4' is not a usable name"),
    "blank in a name": (f"[data_sets.'a b']\nid = '{ID}'", "'a b' is not a usable name"),
    "path for a name": (f"[data_sets.'../x']\nid = '{ID}'", "'../x' is not a usable name"),
    "long name": (f"[data_sets.{'a' * 41}]\nid = '{ID}'", "40 characters at most"),
    "reserved name": (f"[data_sets.catalogue]\nid = '{ID}'", "data_sets.catalogue: 'catalogue' is reserved"),
    "name of the database": (f"[data_sets.warehouse]\nid = '{ID}'", "'warehouse' is reserved"),
    "one data set twice": (f"{A}[data_sets.b]\nid = '{ID.upper()}'", "data_sets: 'a' and 'b' follow the same data set"),
    "no data sets": ("[data_sets]", "data_sets: name at least one data set"),
    "text for data sets": ("data_sets = 'x'", "data_sets: name at least one data set"),
    "text for a data set": ("[data_sets]\na = 'x'", "[data_sets.a] must be a table with the key id"),
    "array of tables": (f"[[data_sets]]\nname = 'a'\nid = '{ID}'", "[data_sets.<name>] with the key id"),
    "list of numbers": ("data_sets = [1]", "[data_sets.<name>] with the key id"),
    "number for a path": ("data_dir = 5", "data_dir: "),
    "bad address": ("api_url = 'api.education.gov.uk'", "api_url: 'api.education.gov.uk' is not a web address"),
    "address with version": ("api_url = 'http://h/statistics/v1/'", "leave out the /v1"),
    "address with query": ("api_url = 'http://h/?a=b'", "give scheme, host and path only"),
    "address with password": ("api_url = 'http://u:p@h/'", "give scheme, host and path only"),
    "address with a bad port": ("api_url = 'http://localhost:abc'", "api_url: "),
    "address with a port too big": ("api_url = 'http://localhost:99999'", "api_url: "),
    "address with an empty label": ("api_url = 'http://a..b'", "api_url: "),
    "address without host": ("api_url = 'http:///x'", "api_url: "),
    "half an IPv6 address": ("api_url = 'http://[::1'", "api_url: "),
    "other scheme": ("api_url = 'ftp://h/'", "api_url: "),
    "control character": ('api_url = "http://h\\u0000/"', "api_url: "),
    "no TOML": ("[data_sets", "is not valid TOML"),
    "not UTF-8": (b"\xff", "cannot be read"),
}


@pytest.mark.parametrize(("text", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_fault_in_the_file_names_file_and_key(read, text, said):
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert said in str(caught.value)
    assert "my.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"KS4_API_URL": "nowhere"}, "KS4_API_URL: 'nowhere' is not a web address"),
        (
            {"KS4_APIURL": "http://h"},
            "Unknown environment variable KS4_APIURL. Known: ",
        ),
        ({"KS4_CONFIG": "/no/such/file.toml"}, "KS4_CONFIG names /no/such/file.toml, and there is no such file"),
        ({"KS4_CONFIG": "/"}, "/ cannot be read"),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(environ, said):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert said in str(caught.value)


def test_a_folder_in_which_duckdb_cannot_write_is_refused_before_any_work(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="question mark"):
        load_settings({"KS4_DATA_DIR": str(tmp_path / "why?" / "data")})
    (tmp_path / "why?").mkdir()
    monkeypatch.chdir(tmp_path / "why?")
    with pytest.raises(ConfigurationError, match="question mark"):
        load_settings({"KS4_DATA_DIR": "data"})


def test_a_file_inside_the_data_directory_cannot_move_it(tmp_path):
    (tmp_path / "ks4.toml").write_text('data_dir = "elsewhere"')
    with pytest.raises(ConfigurationError, match=r"ks4\.toml: data_dir cannot be set"):
        load_settings({"KS4_DATA_DIR": str(tmp_path)})


def test_limits_have_defaults_and_each_can_be_set(read):
    assert read("").limits == Limits()
    limits = read("[limits]\nmax_download_bytes = 5_000_000\nrequests_per_second = 0.5\n").limits
    assert (limits.max_download_bytes, limits.requests_per_second) == (5_000_000, 0.5)
    assert limits.max_csv_bytes == Limits().max_csv_bytes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_csv_bytes = 0", "limits.max_csv_bytes: Input should be greater than or equal to 1"),
        ('max_json_bytes = "64 MB"', "limits.max_json_bytes: Input should be a valid integer"),
        ("requests_per_second = nan", "limits.requests_per_second: Input should be"),
        ("download_seconds = 0", "limits.download_seconds: Input should be greater than 0"),
        ("max_bytes = 1", "limits.max_bytes: unknown key"),
    ],
)
def test_a_limit_that_cannot_be_used_is_named(read, line, said):
    with pytest.raises(ConfigurationError, match=said):
        read(f"[limits]\n{line}\n")


OWN_RULE = '[rules.ours]\nassert = "It is so."\nsql = "{}"\n'


def test_rules_and_notes_are_read(read):
    settings = read(
        OWN_RULE.format("pupil_count >= 0")
        + '[rules.rows_unique]\nseverity = "error"\n[[notes]]\ntext = "Ask us."\nindicator = "pupil_count"\n'
    )
    assert (settings.rules["ours"].asserts, settings.rules["ours"].sql) == ("It is so.", "pupil_count >= 0")
    assert settings.rules["rows_unique"].severity == "error"
    assert (settings.notes[0].text, settings.notes[0].kind, settings.notes[0].time_period) == ("Ask us.", "note", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN_RULE.format("pupil_count >"), "rules.ours: it is neither a predicate nor a query"),
        (OWN_RULE.format("DROP TABLE observations"), "rules.ours: it is neither a predicate nor a query"),
        (OWN_RULE.format("SELECT 1; SELECT 2"), "rules.ours: it is neither a predicate nor a query"),
        (OWN_RULE.format("true); DROP TABLE x; SELECT (true"), "rules.ours: give one predicate, or one query"),
        (OWN_RULE.format(""), "rules.ours.sql: String should have at least 1 character"),
        ('[rules.ours]\nsql = "true"\n', "rules.ours: there is no built-in rule of that name"),
        ('[rules.rows_uniqe]\nseverity = "off"\n', "rules.rows_uniqe: there is no built-in rule of that name"),
        ('[rules.rows_unique]\nseverity = "fatal"\n', "rules.rows_unique.severity: Input should be 'off', 'warn' or"),
        ("[rules.rows_unique]\n", "rules.rows_unique: give the severity of the built-in rule"),
        ('[rules.rows_unique]\nassert = "x"\nsql = "true"\n', "rules.rows_unique: this is a built-in rule"),
        (
            OWN_RULE.format("true").replace("ours", "key_unique"),
            "rules.key_unique: this is the name of a check that is",
        ),
        (OWN_RULE.format("true") + 'colour = "red"\n', "rules.ours.colour: unknown key"),
        (OWN_RULE.format("true") + 'data_sets = ["la"]\n', "rules.ours: data_sets names 'la', and no data set"),
        ('[[notes]]\nkind = "break"\n', "notes.0.text: this key is needed"),
        ('[[notes]]\ntext = "x"\nfilter_option = "y"\n', "notes.0: filter_option needs filter_column"),
        ('[[notes]]\ntext = "x"\ndata_sets = ["la"]\n', "notes: note 1: data_sets names 'la', and no data set"),
    ],
)
def test_a_rule_or_note_that_cannot_be_used_is_named(read, text, said):
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert said in str(caught.value)
