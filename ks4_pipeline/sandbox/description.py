"""The description files a sandbox serves: their models and how they are read and checked.

One folder per data set holds ``data_set.toml`` and CSV files. This module says what may stand in the file and turns a
bad one into a message that names file and key; what the entries mean over time is worked out in ``history.py``.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from ks4_pipeline.errors import VersionNumberError
from ks4_pipeline.sandbox.errors import DescriptionError
from ks4_pipeline.versions import VersionNumber

DESCRIPTION_FILE = "data_set.toml"


class DataSetStatus(StrEnum):
    """What a data set's page says of it (contract §2.3)."""

    DRAFT = "Draft"
    PUBLISHED = "Published"
    DEPRECATED = "Deprecated"
    WITHDRAWN = "Withdrawn"


class VersionStatus(StrEnum):
    """All states of a version, public and internal (contract §3.1)."""

    PROCESSING = "Processing"
    FAILED = "Failed"
    MAPPING = "Mapping"
    DRAFT = "Draft"
    FINALISING = "Finalising"
    PUBLISHED = "Published"
    DEPRECATED = "Deprecated"
    WITHDRAWN = "Withdrawn"
    CANCELLED = "Cancelled"

    @property
    def is_public(self) -> bool:
        """Whether everybody may see such a version (contract §3.4)."""
        return self in (VersionStatus.PUBLISHED, VersionStatus.DEPRECATED, VersionStatus.WITHDRAWN)


def _as_version(value: object) -> VersionNumber:
    if isinstance(value, VersionNumber):
        return value
    if not isinstance(value, str):
        raise ValueError('give the version as text in quotes, for example "1.0"')  # noqa: TRY004 - pydantic's way
    try:
        return VersionNumber.parse(value)
    except VersionNumberError as error:
        raise ValueError(str(error)) from error


def _as_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Version = Annotated[VersionNumber, BeforeValidator(_as_version), PlainSerializer(str)]
Moment = Annotated[datetime, AfterValidator(_as_utc)]
Text = Annotated[str, Field(min_length=1)]


class Entry(BaseModel):
    """Base of all parts of a description: frozen, and no key that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class FilterEntry(Entry):
    """A filter column; ``was`` names the column of the version before whose id it keeps."""

    column: str
    label: Text
    hint: str = ""
    was: str | None = None


class IndicatorEntry(Entry):
    """An indicator column; without ``unit`` or ``decimal_places`` the API leaves them out."""

    column: str
    label: Text
    unit: str | None = None
    decimal_places: Annotated[int, Field(ge=0)] | None = None
    was: str | None = None


class ReleaseEntry(Entry):
    """The statistical release a version came with."""

    title: Text
    slug: Text


class RenamedOption(Entry):
    """A filter option that keeps its id under a new label (contract §5.6: mapped by hand)."""

    filter: str
    old: Annotated[str, Field(alias="from")]
    new: Annotated[str, Field(alias="to")]


class RenamedLocation(Entry):
    """A location that keeps its id under a new code or, where ``from`` and ``to`` are the same, a new name.

    Both are the level's first code (``new_la_code`` of an authority, the URN of a school); RSC regions have names only.
    """

    level: str
    old: Annotated[str, Field(alias="from")]
    new: Annotated[str, Field(alias="to")]


class VersionEntry(Entry):
    """One version of a data set.

    Attributes:
        version: its number, as text.
        file: a ``.csv``, packed by the sandbox, or a ``.csv.gz``, served byte for byte; relative to the folder.
        published: when; without it a moment is made up, always the same, a month after the version before.
        notes: the publisher's words.
        status: its state when the sandbox starts; ``withdrawn`` is when it was withdrawn.
        held: not out yet, so unknown to the API until it is published by :meth:`Sandbox.publish` or ``/admin``.
        file_id: the EES file id; without it one per (major, minor), which patches inherit.
        release: the statistical release, inherited by patches too.
        total_results: the row count the API tells, right or wrong; without it the rows are counted.
        file_name: what ``Content-Disposition`` says instead of the right name.
        filters: replace those in force from this version on; likewise ``indicators``.
        renamed_options: filter options that keep their id under another label; likewise ``renamed_locations``.
        preview_token: opens the version while it is a draft (contract §1.3).
    """

    version: Version
    file: Path
    published: Moment | None = None
    notes: str = ""
    status: VersionStatus = VersionStatus.PUBLISHED
    withdrawn: Moment | None = None
    held: bool = False
    file_id: UUID | None = None
    release: ReleaseEntry | None = None
    total_results: Annotated[int, Field(ge=0)] | None = None
    file_name: str | None = None
    filters: tuple[FilterEntry, ...] | None = None
    indicators: tuple[IndicatorEntry, ...] | None = None
    renamed_options: tuple[RenamedOption, ...] = ()
    renamed_locations: tuple[RenamedLocation, ...] = ()
    preview_token: UUID | None = None


class PublicationEntry(Entry):
    """The publication a data set belongs to; what is not given is made up from the data set."""

    id: UUID | None = None
    title: Text | None = None
    slug: Text | None = None
    summary: str = ""


class DataSetDescription(Entry):
    """One ``data_set.toml``."""

    id: UUID
    title: Text
    summary: str = ""
    status: DataSetStatus = DataSetStatus.PUBLISHED
    superseding_data_set_id: UUID | None = None
    publication: PublicationEntry = PublicationEntry()
    filters: tuple[FilterEntry, ...] = ()
    indicators: tuple[IndicatorEntry, ...] = ()
    versions: Annotated[tuple[VersionEntry, ...], Field(min_length=1)]


def read_description(path: Path) -> DataSetDescription:
    """Read one ``data_set.toml``; relative CSV paths become absolute, against its folder.

    Raises:
        DescriptionError: the file cannot be read or holds something that cannot be used.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DescriptionError(f"{path}: cannot be read as TOML: {error}") from error
    try:
        description = DataSetDescription.model_validate(raw)
    except ValidationError as error:
        raise DescriptionError(_told(path, error)) from error
    return _located(path, description)


def read_descriptions(root: Path) -> tuple[tuple[Path, DataSetDescription], ...]:
    """Read the description of every sub-folder of ``root`` that has one, in order of folder name.

    Raises:
        DescriptionError: ``root`` is no folder, a description cannot be used, or two name the same data set.
    """
    if not root.is_dir():
        raise DescriptionError(f"{root}: is not a folder. Give a folder whose sub-folders hold {DESCRIPTION_FILE}.")
    paths = sorted(root.glob(f"*/{DESCRIPTION_FILE}"))
    found = tuple((path, read_description(path)) for path in paths)
    first: dict[UUID, Path] = {}
    for path, description in found:
        earlier = first.setdefault(description.id, path)
        if earlier != path:
            raise DescriptionError(f"{path}: id: {description.id} is also the id in {earlier}. Give each its own.")
    return found


def _located(path: Path, description: DataSetDescription) -> DataSetDescription:
    seen: set[VersionNumber] = set()
    versions = []
    for index, entry in enumerate(description.versions):
        if entry.version in seen:
            raise DescriptionError(f"{path}: versions[{index}].version: {entry.version} is described twice.")
        seen.add(entry.version)
        file = path.parent.absolute() / entry.file
        if not file.is_file():
            raise DescriptionError(f"{path}: versions[{index}].file: there is no file {file}.")
        versions.append(entry.model_copy(update={"file": file}))
    return description.model_copy(update={"versions": tuple(versions)})


def _told(path: Path, error: ValidationError) -> str:
    """One line per fault: file, key as it would be written, what is wrong."""
    faults = error.errors(include_url=False, include_context=False)
    places = [fault["loc"] for fault in faults]
    lines = []
    for fault in faults:
        place = fault["loc"]
        if any(other != place and other[: len(place)] == place for other in places):
            continue  # a list is called too short only because its items are wrong
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        lines.append(f"{path}: {key or 'whole file'}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
