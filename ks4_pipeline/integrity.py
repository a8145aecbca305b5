"""Is everything here what it should be? Landing against its manifests, and the warehouse against landing.

Nothing on disk is believed but the bytes that landed: each version is typed anew, a second warehouse is made of that in
a temporary room, and the published one is held against it, data set by data set: every cell in its order, columns,
types, comments, views, macros, revisions and catalogue. Only times of loading, which no landing knows, are taken over.
Changes nothing; gives findings, each with what, where and what to do.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb
from pydantic import ValidationError

from ks4_pipeline import unfinished
from ks4_pipeline.audit import CHECKS as AUDIT_CHECKS
from ks4_pipeline.errors import Ks4Error, shown
from ks4_pipeline.landing import DOCUMENTS, MANIFEST, Damage, Landed, LandingError, Listing
from ks4_pipeline.observations import Observations, ObservationsStore
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality.judging import Judgement
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import catalogue, keeping, schema
from ks4_pipeline.warehouse.edition import Addition, Finished, publish
from ks4_pipeline.warehouse.equality import SideBySide, side_by_side
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline.warehouse.keeping import Kept
from ks4_pipeline.warehouse.reading import checks_of, data_set_ids, judged_on, loaded_versions

REBUILD = "ks4 rebuild"
_SEEN_AT = "seen_at"
"""When the list was last read before an edition: a new edition has another, and is right."""
VERSION_TABLE = re.compile(r"v\d+_\d+_\d+")
_BUILT_IN = {"main", schema.SCHEMA}


@dataclass(frozen=True)
class Finding:
    """Something that is not what it should be.

    Attributes:
        where: the file, or the object of the warehouse.
        what: what was found there.
        remedy: what puts it right.
        data_set: the data set it is about, if any.
        version: the version it is about, if any.
    """

    where: str
    what: str
    remedy: str
    data_set: str | None = None
    version: VersionNumber | None = None


@dataclass(frozen=True)
class VerifiedVersion:
    """One version looked at: whether its table could be compared with landing, how much, and what was found."""

    data_set: str
    version: VersionNumber
    compared: bool
    rows: int
    cells: int
    findings: int


@dataclass
class IntegrityReport:
    """What was looked at and what was found.

    Attributes:
        versions: those looked at.
        findings: everything that is not whole.
        remarks: what is worth knowing and no damage.
    """

    versions: list[VerifiedVersion] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all is whole; 1 something is not."""
        return 1 if self.findings else 0


class Watcher:
    """Told what is being looked at; says nothing itself."""

    def checking(self, data_set: str, version: VersionNumber, number: int, of: int) -> None:
        """A version's landing is read and typed anew; it is the so many-th."""

    def comparing(self, data_set: str) -> None:
        """The published warehouse is held against what was derived."""

    def finished(self, verified: VerifiedVersion) -> None:
        """A version is done."""


def known_names(pipeline: Pipeline) -> set[str]:
    """Every data set there is anything of: followed, landed or in the warehouse."""
    names = {data_set.name for data_set in pipeline.settings.data_sets} | set(pipeline.landing.names())
    try:
        return names | (data_set_ids(pipeline.warehouse).keys() if pipeline.warehouse.exists() else set())
    except WarehouseError:
        return names


def verify(
    pipeline: Pipeline,
    *,
    names: Collection[str] = (),
    only: Collection[VersionNumber] | None = None,
    watcher: Watcher | None = None,
) -> IntegrityReport:
    """Look at everything, or at some data sets, or at some versions of one.

    Args:
        pipeline: knows where everything is.
        names: only these data sets; all when empty.
        only: only these versions. Their tables, their rows in the catalogue and everything they have a part in is
            derived from landing, the other tables are taken as they are.
        watcher: told of every step.
    """
    this = _Verification(pipeline, only, watcher or Watcher())
    # On the disk that has to hold a second warehouse anyway, at each publish.
    with unfinished.room(pipeline.settings.data_dir) as room:
        published = this.open(room)
        for name in sorted(names or this.names()):
            with this.readable(name):
                this.data_set(name, published, room)
        if published and not names:
            with this.readable(None):
                this.leftovers(published)
    return this.report


@dataclass(frozen=True)
class _Published:
    """The published warehouse as it was when we began, under a name of our own."""

    file: WarehouseFile
    ids: Mapping[str, str]
    loaded: dict[str, set[VersionNumber]]
    kept: Kept


@dataclass
class _Derived:
    """What came of one version's landing."""

    landed: Landed | None = None
    observations: Observations | None = None


class _Verification:
    """Collects what is found."""

    def __init__(self, pipeline: Pipeline, only: Collection[VersionNumber] | None, watcher: Watcher) -> None:
        self.report = IntegrityReport()
        self._pipeline = pipeline
        self._only = only
        self._watcher = watcher
        self._published_path = pipeline.warehouse.path
        self._catalogue_compared = False
        self._doubted: set[Path] = set()
        self._ids: Mapping[str, str] = {}

    def open(self, room: Path) -> _Published | None:
        """The published warehouse, which stays the same while others publish; None when it cannot be read."""
        if not self._pipeline.warehouse.exists():
            self._find(self._published_path, "there is no warehouse", REBUILD)
            return None
        snapshot = room / "published.duckdb"
        _take(self._published_path, snapshot)
        file = WarehouseFile(snapshot)
        try:
            self._ids = data_set_ids(file)
            loaded = {name: set(versions) for name, versions in loaded_versions(file).items()}
        except (Ks4Error, duckdb.Error) as error:
            self._find(self._published_path, f"it cannot be read: {_first_line(error)}", REBUILD)
            return None
        return _Published(file, self._ids, loaded, keeping.read(file))

    @contextmanager
    def readable(self, data_set: str | None) -> Iterator[None]:
        """Make a finding of a published file that turns out to be damaged where it is read."""
        try:
            yield
        except (WarehouseError, duckdb.Error) as error:
            self._find(self._published_path, f"it cannot be read: {_first_line(error)}", REBUILD, data_set)

    def names(self) -> set[str]:
        """Every data set that has landed or is in the warehouse."""
        return set(self._pipeline.landing.names()) | self._ids.keys()

    def data_set(self, name: str, published: _Published | None, room: Path) -> None:
        """Verify one data set."""
        loaded = published.loaded.get(name, set()) if published else set()
        data_set = self._identified(name, published)
        if data_set is None:
            folder = self._pipeline.settings.landing_dir / name
            if any(folder.glob(f"*/{MANIFEST}")):
                what = "its list is missing or cannot be read, and nothing else says which data set it is"
                self._find(folder, what, f"Follow it again: ks4 add UUID --name {name}, then: ks4 run", name)
            return
        landed = set(self._pipeline.landing.versions(data_set))
        versions = sorted(v for v in landed | loaded if self._only is None or v in self._only)
        store = ObservationsStore(room / "observations")
        derived: dict[VersionNumber, _Derived] = {}
        for number, version in enumerate(versions, 1):
            self._watcher.checking(name, version, number, len(versions))
            derived[version] = self._derive(data_set, version, store)
            if published and version not in loaded:
                self._find(
                    self._pipeline.settings.landing_dir / name / str(version),
                    "it has landed, and the warehouse does not have it",
                    "ks4 run",
                    name,
                    version,
                )
        if self._only is None:
            self._set_aside(name)
        compared: set[VersionNumber] = set()
        if published and versions:
            self._watcher.comparing(name)
            self._check_tables(name, published)
            typed = {version: found for version, found in derived.items() if found.observations and version in loaded}
            compared = self._hold_against(data_set, published, typed, room, store, whole=typed.keys() == loaded)
        for version in versions:
            self._finish(name, version, derived[version].observations if version in compared else None)
        shutil.rmtree(room / "observations", ignore_errors=True)

    def leftovers(self, published: _Published) -> None:
        """What belongs to no data set of the catalogue."""
        with published.file.read() as connection:
            found = connection.execute(
                "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() AND NOT internal"
            ).fetchall()
            strangers = {name for (name,) in found} - _BUILT_IN - published.ids.keys()
            for name in sorted(strangers):
                self._find(f"schema {name}", "it belongs to no data set of the catalogue", REBUILD)
            present = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [schema.SCHEMA]
            ).fetchall()
            for table in schema.TABLES:
                if table is schema.LOADS or "data_set" not in table.columns:  # what was refused has loads as well
                    continue
                if (table.name,) not in present:  # found already, with the structure of the catalogue
                    continue
                rows = connection.execute(f"SELECT DISTINCT data_set FROM {table.qualified}").fetchall()
                for (name,) in rows:
                    if name not in published.ids:
                        what = f"it has rows of {name!r}, which is no data set of the catalogue"
                        self._find(f"catalogue.{table.name}", what, REBUILD)

    # --- landing ----------------------------------------------------------------------------------------------------

    def _identified(self, name: str, published: _Published | None) -> DataSet | None:
        """The data set of that name, by the publisher's list, the warehouse, or the configuration."""
        listing = self._listing(name)
        ids = [listing.summary.id] if listing else []
        ids += [published.ids[name]] if published and name in published.ids else []
        ids += [data_set.id for data_set in self._pipeline.settings.data_sets if data_set.name == name]
        for data_set_id in ids:
            with suppress(ValidationError):
                return DataSet(name=name, id=data_set_id)
        return None

    def _listing(self, name: str) -> Listing | None:
        """The publisher's list as last seen; None when it is not there, or cannot be read."""
        try:
            return self._pipeline.landing.listing_of(name)
        except LandingError:
            return None

    def _derive(self, data_set: DataSet, version: VersionNumber, store: ObservationsStore) -> _Derived:
        """Read a version's landing and type it anew; whatever is wrong is found."""
        folder = self._pipeline.settings.landing_dir / data_set.name / str(version)
        again = f"Move {folder} away, then: ks4 run --data-set {data_set.name} --version {version}"
        try:
            landed = self._pipeline.landing.get(data_set, version)
        except LandingError as error:
            self._find(folder / MANIFEST, _first_line(error), again, data_set.name, version)
            return _Derived()
        if landed is None:
            what = "it is missing" if folder.exists() else "the version's landing is missing"
            self._find(folder / MANIFEST, what, again, data_set.name, version)
            return _Derived()
        damages = list(landed.damages()) or list(landed.csv_damages()) or list(_unlikely(data_set, landed))
        for damage in damages:
            self._find(damage.path, damage.what, again, data_set.name, version)
        if damages:
            return _Derived(landed)
        try:
            observations = store.make(data_set, landed)
        except Ks4Error as error:
            self._find(folder, f"it cannot be typed any more: {error}", again, data_set.name, version)
            return _Derived(landed)
        self._check_parquet(data_set, landed, observations)
        return _Derived(landed, observations)

    def _check_parquet(self, data_set: DataSet, landed: Landed, derived: Observations) -> None:
        """The Parquet file's bytes against its facts, and its facts against those found now."""
        path = self._pipeline.observations.path(data_set, landed.version)
        found = self._pipeline.observations.get(data_set, landed)
        if found is None and self._pipeline.observations.is_older(data_set, landed.version):
            self.report.remarks.append(
                f"{data_set.name} {landed.version}: an older program made {path}. The next edition makes it anew."
            )
        elif found is None:
            what = "it is not what its facts say" if path.exists() else "it is missing"
            self._find(path, what, REBUILD, data_set.name, landed.version)
            self._doubted.add(path)
        elif found.facts.model_copy(update={"parquet": derived.facts.parquet}) != derived.facts:
            unlike = [
                name
                for name in type(derived.facts).model_fields
                if name != "parquet" and getattr(found.facts, name) != getattr(derived.facts, name)
            ]
            what = f"it says something else than landing gives: {', '.join(unlike)}"
            self._find(path.with_suffix(".json"), what, REBUILD, data_set.name, landed.version)

    def _set_aside(self, name: str) -> None:
        """What is kept beside the versions has to be what landed, too."""
        try:
            for landed in self._pipeline.landing.set_aside(name):
                for damage in landed.damages():
                    self._find(damage.path, damage.what, f"Delete {landed.folder}", name, landed.version)
        except LandingError as error:
            self._find(
                self._pipeline.settings.landing_dir / name, _first_line(error), "Delete the folder it names", name
            )

    # --- the warehouse against landing --------------------------------------------------------------------------------

    def _hold_against(
        self,
        data_set: DataSet,
        published: _Published,
        derived: dict[VersionNumber, _Derived],
        room: Path,
        store: ObservationsStore,
        *,
        whole: bool,
    ) -> set[VersionNumber]:
        """Make the data set's part of a warehouse of what was derived, and compare; the versions compared.

        Where not all versions could be derived, or not all are to be, the others are taken from the published one.
        """
        name = data_set.name
        listing = self._expected_listing(name, published)
        if listing is None:
            return set()
        expected = WarehouseFile(room / f"{name}.duckdb")
        finished = [
            Finished(f.landed, f.observations, self._judgement(data_set, published, f.landed, f.observations, store))
            for _, f in sorted(derived.items())
            if f.landed and f.observations
        ]
        try:
            if not whole:
                _take(published.file.path, expected.path)
            publish(
                expected,
                [Addition(data_set, listing, finished, notes=self._pipeline.notes(data_set))],
                [],
                self._pipeline.now(),
                newest=lambda _: listing,
                anew=whole,
                keep=lambda: published.kept,
            )
        except (Ks4Error, duckdb.Error) as error:
            what = f"it does not hang together: {_first_line(error)}"
            self._find(self._published_path, what, REBUILD, name)
            return set()
        with side_by_side(published.file.path, expected.path, room) as sides:
            self._compare(data_set, sides, derived.keys())
        expected.path.unlink()
        return set(derived)

    def _judgement(
        self,
        data_set: DataSet,
        published: _Published,
        landed: Landed,
        observations: Observations,
        store: ObservationsStore,
    ) -> Judgement:
        """What the rules say of a version; what they said of it, where they are others now."""
        found = self._pipeline.judge(data_set, landed, observations, store)
        basis = judged_on(published.file, data_set.name).get(landed.version)
        if basis in {None, found.basis}:
            return found
        self.report.remarks.append(
            f"{data_set.name} {landed.version}: rules or the version before have changed since it was judged. The next "
            "edition judges it anew."
        )
        said = checks_of(published.file, data_set.name, landed.version)
        return Judgement(str(basis), tuple(result for name, result in said.items() if name not in AUDIT_CHECKS))

    def _expected_listing(self, name: str, published: _Published) -> Listing | None:
        """The publisher's list that the published warehouse was made by.

        That is the one in landing, unless there has been news since, which the next run brings in.
        """
        path = self._pipeline.settings.landing_dir / name / "listing.json"
        try:
            with published.file.read() as connection:
                catalogued = catalogue.catalogued_listing(connection, name)
        except (ValidationError, Ks4Error, duckdb.Error) as error:
            self._find(f"catalogue of {name}", f"it cannot be read: {_first_line(error)}", REBUILD, name)
            return None
        if catalogued is None:
            self._find("catalogue.data_sets", f"it has not exactly one row of {name}", REBUILD, name)
            return None
        listing = self._listing(name)
        if listing is None:
            what = "the publisher's list as last seen is missing or cannot be read"
            self._find(path, what, "Move it away if it is there, then: ks4 run", name)
            return catalogued
        if listing.news_at > catalogued.seen_at:
            self.report.remarks.append(
                f"{name}: the publisher's list has changed since the warehouse was made. The next edition will say so."
            )
            return catalogued
        return listing

    def _compare(self, data_set: DataSet, sides: SideBySide, versions: Collection[VersionNumber]) -> None:
        name = data_set.name
        by_table = {version.table: version for version in versions}
        for found in sides.structure(name):
            self._find(f"{name}.{found.name}", found.what, REBUILD, name, by_table.get(found.name))
        for table in sides.names(name, "table"):
            version = by_table.get(table)
            how = sides.rows if VERSION_TABLE.fullmatch(table) else sides.contents
            self._find_all(f"{name}.{table}", partial(how, name, table), name, version)
        for version in versions:
            parquet = self._pipeline.observations.path(data_set, version)
            if parquet not in self._doubted:
                self._find_all(parquet, partial(sides.parquet_rows, parquet, name, version.table), name, version)
        for of_catalogue in schema.TABLES:
            if of_catalogue is not schema.LOADS and "data_set" in of_catalogue.columns:
                rows = partial(
                    sides.contents, schema.SCHEMA, of_catalogue.name, where={"data_set": name}, ignoring=[_SEEN_AT]
                )
                self._find_all(f"{schema.SCHEMA}.{of_catalogue.name}", rows, name)
        if not self._catalogue_compared:
            self._catalogue_compared = True
            for found in sides.structure(schema.SCHEMA):
                self._find(f"{schema.SCHEMA}.{found.name}", found.what, REBUILD)
            markers = schema.MARKER_TABLE
            self._find_all(
                f"{schema.SCHEMA}.{markers.name}", partial(sides.contents, schema.SCHEMA, markers.name), None
            )

    def _check_tables(self, name: str, published: _Published) -> None:
        """Every table of a version belongs to a catalogued version, whatever else could be compared."""
        with published.file.read() as connection:
            rows = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND database_name = current_database()",
                [name],
            ).fetchall()
        present = {table for (table,) in rows if VERSION_TABLE.fullmatch(table)}
        catalogued = {version.table: version for version in published.loaded.get(name, set())}
        for table in sorted(catalogued.keys() - present):
            self._find(f"{name}.{table}", "the table is missing", REBUILD, name, catalogued[table])
        for table in sorted(present - catalogued.keys()):
            self._find(f"{name}.{table}", "a table that does not belong here", REBUILD, name)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _find(
        self,
        where: Path | str,
        what: str,
        remedy: str,
        data_set: str | None = None,
        version: VersionNumber | None = None,
    ) -> None:
        finding = Finding(str(where), what, remedy, data_set, version)
        if finding not in self.report.findings:
            self.report.findings.append(finding)

    def _find_all(
        self,
        where: Path | str,
        compare: Callable[[], Sequence[str]],
        data_set: str | None,
        version: VersionNumber | None = None,
    ) -> None:
        """Note what a comparison tells, and that it could not be made where the file is damaged."""
        try:
            told = compare()
        except duckdb.Error as error:
            told = [f"it cannot be read: {_first_line(error)}"]
        for what in told:
            self._find(where, what, REBUILD, data_set, version)

    def _finish(self, name: str, version: VersionNumber, compared: Observations | None) -> None:
        rows = compared.facts.rows if compared else 0
        cells = rows * len(compared.columns.observations) if compared else 0
        findings = sum((f.data_set, f.version) == (name, version) for f in self.report.findings)
        verified = VerifiedVersion(name, version, compared is not None, rows, cells, findings)
        self.report.versions.append(verified)
        self._watcher.finished(verified)


def _take(file: Path, path: Path) -> None:
    """A file under another name: it stays as it is, since published files are replaced and never written to."""
    try:
        os.link(file, path)
    except OSError:  # a disk without hard links
        shutil.copyfile(file, path)


def _unlikely(data_set: DataSet, landed: Landed) -> Iterator[Damage]:
    """What a manifest written by us would not say."""
    manifest = landed.manifest
    if manifest.file_name.lower() != f"{data_set.id}_v{landed.version}.csv":
        yield Damage(landed.folder / MANIFEST, f"says that the server called the file {shown(manifest.file_name)}")
    if manifest.documents.keys() != DOCUMENTS:
        yield Damage(landed.folder / MANIFEST, "does not name all of the version's files")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
