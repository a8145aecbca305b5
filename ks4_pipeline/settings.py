"""Configuration, read and validated once: from the environment and from one TOML file, environment first.

Everything else is told its settings and never looks at the environment itself. An unknown key or a bad value is an
error that names the key, where it stands and what would be right.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.errors import ConfigurationError

DEFAULT_API_URL = "https://api.education.gov.uk/statistics"
DEFAULT_NAME = "ks4_national"
DEFAULT_ID = "019d4320-2bde-7059-8d7a-b685013eb1e6"

STAND_IN = "a stand-in on this machine"
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
_ENVIRONMENT = {
    "KS4_API_URL": "api_url",
    "KS4_DATA_DIR": "data_dir",
    "KS4_SENSORS": "sensors",
    "KS4_ALERT_WEBHOOK": "alert_webhook",
}
_OTHER_VARIABLES = {"KS4_BENCH_DIR", "KS4_CONFIG", "KS4_REAL_DATA"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Schemas that DuckDB or the warehouse itself own, and databases that a schema of the same name would be mistaken for.
_RESERVED = {"catalogue", "main", "temp", "system", "information_schema", "pg_catalog", "warehouse", "memory"}


def _checked_id(text: str) -> str:
    lowered = text.lower()
    if not _GUID.fullmatch(lowered):
        raise ValueError(f"{text!r} is not a data set id; give the UUID from the data set's page, such as {DEFAULT_ID}")
    return lowered


def checked_name(name: str) -> str:
    """A data set's short name: it becomes a folder, an SQL schema and part of Dagster names, so it is a plain word.

    Raises:
        ValueError: when it is not lower-case letters, digits and underscores, or is a reserved word.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a usable name: start with a lower-case letter, then lower-case letters, digits or "
            "underscores, 40 characters at most"
        )
    if name in _RESERVED:
        raise ValueError(f"{name!r} is reserved; choose another name")
    return name


def is_name(text: str) -> bool:
    """Whether a data set can have that short name."""
    try:
        checked_name(text)
    except ValueError:
        return False
    return True


def _checked_url(text: str) -> str:
    parts = urlsplit(text.strip())
    _ = parts.port, (parts.hostname or "").encode("idna")  # each raises ValueError when no request could be made
    if not text.isprintable() or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} is not a web address; it looks like {DEFAULT_API_URL}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError(f"{text!r}: give scheme, host and path only")
    path = parts.path.rstrip("/")
    if path.endswith("/v1"):
        raise ValueError(f"{text!r}: leave out the /v1, it is added")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _checked_webhook(text: str) -> str:
    """An address to post to: unlike the API's it may carry a query, which is where chat services put their key."""
    parts = urlsplit(text.strip())
    _ = parts.port, (parts.hostname or "").encode("idna")  # each raises ValueError when no request could be made
    if not text.strip().isprintable() or parts.scheme not in {"http", "https"} or not parts.hostname:
        # Not repeated here: the address is a secret, and this text ends up in logs.
        raise ValueError("this is not a web address that begins with https:// or http://")
    return text.strip()


def _checked_folder(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError(f"{str(path)!r} cannot be a folder's name")
    if "?" in str(path.absolute()):  # DuckDB looks for its log of changes at another path then, and cannot write
        raise ValueError(f"DuckDB cannot write below {str(path.absolute())!r}: there must be no question mark in it")
    return path


class DataSet(BaseModel):
    """A followed data set: its short name and the publisher's id (lower case)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(checked_name)]
    id: Annotated[str, AfterValidator(_checked_id)]


class RuleSetting(BaseModel):
    """A table ``[rules.<name>]``: the severity of a built-in rule, or a rule of one's own.

    Attributes:
        severity: ``off``, ``warn`` or ``error``; a rule of one's own warns by default.
        asserts: the key ``assert``: what must hold, as a sentence.
        sql: a predicate that must hold for every row, or a query that returns what breaks the rule.
        source: who says so.
        data_sets: names of the data sets it is for; without it, all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Literal["off", "warn", "error"] | None = None
    asserts: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="assert")
    sql: Annotated[str, Field(min_length=1)] | None = None
    source: str | None = None
    data_sets: tuple[str, ...] | None = None

    def is_for(self, data_set: str) -> bool:
        """Whether it is about a data set."""
        return self.data_sets is None or data_set in self.data_sets


class NoteSetting(BaseModel):
    """A table ``[[notes]]``: something to know of some figures. What is not given means all.

    Attributes:
        text: the note.
        kind: one word; ``break`` and ``not_comparable`` say that the figures must not be compared over time.
        source: who says so.
        data_sets: names of the data sets it is for.
        indicator, time_period, geographic_level, location_code, location, filter_column, filter_option: which figures,
            as in the columns of ``catalogue.notes``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, Field(min_length=1)]
    kind: Annotated[str, Field(pattern="^[a-z][a-z_]*$")] = "note"
    source: str = "the configuration"
    data_sets: tuple[str, ...] | None = None
    indicator: str | None = None
    time_period: str | None = None
    geographic_level: str | None = None
    location_code: str | None = None
    location: str | None = None
    filter_column: str | None = None
    filter_option: str | None = None

    @model_validator(mode="after")
    def _option_of_a_filter(self) -> Self:
        if self.filter_option is not None and self.filter_column is None:
            raise ValueError("filter_option needs filter_column: the filter it is an option of")
        return self


def _check_followed(what: str, data_sets: tuple[str, ...] | None, info: ValidationInfo) -> None:
    """Make sure that a rule or a note names followed data sets only; said elsewhere when those cannot be used."""
    followed = {data_set.name for data_set in info.data.get("data_sets", ())}
    unknown = sorted(set(data_sets or ()) - followed)
    if followed and unknown:
        raise ValueError(f"{what}: data_sets names {unknown[0]!r}, and no data set is followed under that name")


def source_of(api_url: str) -> str:
    """Which publisher an API is: its address, or for stand-ins on this machine, whatever their port, one word."""
    return STAND_IN if urlsplit(api_url).hostname in _THIS_MACHINE else api_url


class Settings(BaseModel):
    """Everything that can be configured.

    Attributes:
        api_url: the API's base, without ``/v1``.
        data_dir: the folder that holds landing, observations, the warehouse and Dagster's storage.
        data_sets: the followed data sets, in the order of the file.
        sensors: whether Dagster's sensors and schedules begin as ``running`` or ``stopped``; what a person switches in
            the UI afterwards counts more.
        poll_minutes: how often the poll sensor looks at the publisher; also the pause before a version that failed more
            than once is tried again.
        max_attempts: how many runs of one version may fail before the sensors leave it to a person or to the daily
            reconciliation.
        alert_webhook: an address that gets ``{"text": ...}`` posted for each failed run; none by default.
        limits: the table ``[limits]``: how much of an answer is taken, for how long, and how often is asked.
        rules: the tables ``[rules.<name>]``, by name.
        notes: the tables ``[[notes]]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_url: Annotated[str, AfterValidator(_checked_url)] = DEFAULT_API_URL
    data_dir: Annotated[Path, AfterValidator(_checked_folder)] = Path("data")
    data_sets: tuple[DataSet, ...] = Field(default=(DataSet(name=DEFAULT_NAME, id=DEFAULT_ID),), min_length=1)
    sensors: Literal["running", "stopped"] = "stopped"
    poll_minutes: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 15
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    alert_webhook: Annotated[str, AfterValidator(_checked_webhook)] | None = Field(default=None, repr=False)
    limits: Limits = Limits()
    rules: dict[str, RuleSetting] = Field(default_factory=dict)
    notes: tuple[NoteSetting, ...] = ()

    @field_validator("data_sets", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """``[data_sets.<name>]`` tables become data sets that know their name."""
        if isinstance(value, list) and not all(isinstance(item, DataSet) for item in value):
            raise ValueError("write each data set as a table of its own, [data_sets.<name>] with the key id")
        if not isinstance(value, Mapping):
            return value
        for name, table in value.items():
            if not isinstance(table, Mapping):
                raise ValueError(f"[data_sets.{name}] must be a table with the key id")  # noqa: TRY004 - pydantic's way
            if "name" in table:
                raise ValueError(f"[data_sets.{name}] has the unknown key name: its name is {name!r}")
        return [{"name": name, **table} for name, table in value.items()]

    @field_validator("data_sets")
    @classmethod
    def _followed_once(cls, value: tuple[DataSet, ...]) -> tuple[DataSet, ...]:
        names: dict[str, str] = {}
        for data_set in value:
            if data_set.id in names:
                raise ValueError(f"{names[data_set.id]!r} and {data_set.name!r} follow the same data set {data_set.id}")
            names[data_set.id] = data_set.name
        return value

    @field_validator("rules")
    @classmethod
    def _rules_can_be_used(cls, value: dict[str, RuleSetting]) -> dict[str, RuleSetting]:
        if value:
            from ks4_pipeline.quality.book import problem_of  # noqa: PLC0415 - only who has rules waits for DuckDB

            for name, setting in value.items():
                problem = problem_of(name, setting) if _RULE_NAME.fullmatch(name) else "this is not a usable name"
                if problem:
                    raise ValueError(f"{name}: {problem}")
        return value

    @field_validator("rules")
    @classmethod
    def _rules_of_followed_ones(cls, value: dict[str, RuleSetting], info: ValidationInfo) -> dict[str, RuleSetting]:
        for name, rule in value.items():
            _check_followed(name, rule.data_sets, info)
        return value

    @field_validator("notes")
    @classmethod
    def _notes_of_followed_ones(cls, value: tuple[NoteSetting, ...], info: ValidationInfo) -> tuple[NoteSetting, ...]:
        for number, note in enumerate(value, 1):
            _check_followed(f"note {number}", note.data_sets, info)
        return value

    def data_set(self, name: str) -> DataSet:
        """The followed data set of that name.

        Raises:
            ConfigurationError: when none is followed under it.
        """
        for data_set in self.data_sets:
            if data_set.name == name:
                return data_set
        followed = ", ".join(data_set.name for data_set in self.data_sets)
        raise ConfigurationError(f"No data set is followed under the name {name!r}. Followed: {followed}.")

    @property
    def source(self) -> str:
        """Which publisher the configured API is: see :func:`source_of`."""
        return source_of(self.api_url)

    @property
    def landing_dir(self) -> Path:
        """Where the publisher's bytes are kept."""
        return self.data_dir / "landing"

    @property
    def observations_dir(self) -> Path:
        """Where each version's typed Parquet file is kept."""
        return self.data_dir / "observations"

    @property
    def reports_dir(self) -> Path:
        """Where each version's change report is kept."""
        return self.data_dir / "reports"

    @property
    def warehouse(self) -> Path:
        """The published warehouse."""
        return self.data_dir / "warehouse.duckdb"


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """The configuration file in force, whether or not it is there."""
    env = os.environ if environ is None else environ
    return Path(env["KS4_CONFIG"]) if env.get("KS4_CONFIG") else Path(env.get("KS4_DATA_DIR") or "data") / "ks4.toml"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        environ: the environment; that of the process when None.

    Raises:
        ConfigurationError: on unknown variables or keys, values that cannot be used, or a file that cannot be read.
    """
    env = os.environ if environ is None else environ
    known = _ENVIRONMENT.keys() | _OTHER_VARIABLES
    unknown = sorted(key for key in env if key.startswith("KS4_") and key not in known)
    if unknown:
        raise ConfigurationError(f"Unknown environment variable {unknown[0]}. Known: {', '.join(sorted(known))}.")
    path = config_path(env)
    values = _read_toml(path, required=bool(env.get("KS4_CONFIG")))
    if "data_dir" in values and not env.get("KS4_CONFIG"):
        raise ConfigurationError(
            f"{path}: data_dir cannot be set by a file inside the data directory; use KS4_DATA_DIR."
        )
    if "data_dir" in values and isinstance(values["data_dir"], str):
        values["data_dir"] = path.parent / values["data_dir"]
    from_environment = {key: env[variable] for variable, key in _ENVIRONMENT.items() if env.get(variable)}
    try:
        return Settings.model_validate({**values, **from_environment})
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, values, from_environment)) from None


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigurationError(f"KS4_CONFIG names {path}, and there is no such file.") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error


def faults_of(error: ValidationError) -> str:
    """What was found wrong with a value that stands in no file, a sentence on each line."""
    return "\n".join(f"{fault['msg'].removeprefix('Value error, ')}." for fault in error.errors())


def _explain(error: ValidationError, path: Path, values: Mapping[str, Any], from_environment: Mapping[str, str]) -> str:
    """Each fault on a line of its own: where it stands, which key, what is wrong."""
    variables = {key: variable for variable, key in _ENVIRONMENT.items()}
    faults = error.errors()
    if len(faults) > 1:  # a data set that failed is gone from the list: that the list is then empty says nothing
        faults = [fault for fault in faults if fault["type"] != "too_short"]
    lines = []
    for fault in faults:
        key = _key(fault["loc"], values)
        message = fault["msg"].removeprefix("Value error, ").replace("Field required", "this key is needed")
        if key == "rules" and fault["type"] == "value_error":  # the validator of all rules knows which it is
            name, _, message = message.partition(": ")
            key = f"rules.{name}"
        where = variables[key] if key in from_environment else f"{path}: {key}"
        match fault["type"]:
            case "extra_forbidden":
                message = "unknown key"
            case "too_short" | "tuple_type":
                message = "name at least one data set: a table [data_sets.<name>] with the key id"
        lines.append(f"{where}: {message}.")
    return "\n".join(lines)


def _key(location: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """The key as it stands in the file: pydantic counts data sets, the file names them."""
    match location:
        case ("data_sets", int(index), "name"):
            return f"data_sets.{list(values['data_sets'])[index]}"
        case ("data_sets", int(index), *rest):
            return ".".join(["data_sets", list(values["data_sets"])[index], *map(str, rest)])
    return ".".join(map(str, location))
