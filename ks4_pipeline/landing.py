"""The landing zone: what the publisher served, byte for byte, fetched once, checked on the way, kept for ever.

A version's folder gets its name only when everything in it is whole, and its manifest is written last; a folder without
a manifest does not exist for anybody. Nothing here judges content. A version whose content others refuse is set aside
with the reason, and is fetched anew at the next attempt, since the fault may have been on the way.

Layout below the landing folder: ``<name>/<version>/{data.csv.gz,meta.json,version.json,changes.json,manifest.json}``,
``<name>/listing.json`` (the publisher's version list as last seen) and, each a version's folder as a whole,
``<name>/refused/<version>-<sha256>/``, ``<name>/republished/…`` (the publisher now serves other bytes under a number we
have: kept beside until a person accepts them) and ``<name>/superseded/…`` (what was replaced so, or withdrawn again).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ks4_pipeline import __version__, csv_arrival, durable, unfinished
from ks4_pipeline.csv_arrival import Arrived, Records
from ks4_pipeline.ees.errors import ONCE_MORE, EesError, EesTransferError
from ks4_pipeline.ees.gunzip import Gunzip
from ks4_pipeline.ees.models import Changes, DataSetSummary, Meta, Number, VersionRecord
from ks4_pipeline.errors import ConfigurationError, Ks4Error, VersionNumberError
from ks4_pipeline.fingerprint import Bytes
from ks4_pipeline.settings import DataSet, is_name
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:  # who only reads what has landed needs no HTTP, which takes a fifth of a second to import
    from ks4_pipeline.csv_shape import CsvShape
    from ks4_pipeline.ees.client import CsvStream, EesClient

MANIFEST = "manifest.json"
CSV = "data.csv.gz"
DOCUMENTS = frozenset({"version.json", "meta.json", "changes.json"})
_REFUSED = "refused"
_REPUBLISHED = "republished"
_SUPERSEDED = "superseded"
_REMEDY = "Move its folder away, and the version is fetched anew."
_PORTION = 1 << 20
_WITHOUT_LIMIT = 1 << 60

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the announced total."""

Reader = Callable[[Meta, Records], None]
"""Wants a CSV's records as they arrive, with the ``/meta`` that describes them; called once per attempt to download."""

Document = TypeVar("Document", bound=BaseModel)


class LandingError(Ks4Error):
    """A landing folder whose files are not what its manifest says."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shape(_Kept):
    """What the CSV's bytes say of its shape: see :class:`ks4_pipeline.csv_shape.CsvShape`."""

    rows: int | None
    header: str | None
    utf8: bool
    regular: bool
    rows_in_a_stretch: int | None = None
    """Depends a little on the portions in which the bytes came; not known of what landed with older programs."""

    @classmethod
    def of(cls, shape: CsvShape) -> Shape:
        """The same facts, in a form that can be kept."""
        return cls.model_validate(asdict(shape))


class Manifest(_Kept):
    """The word that a version landed whole: written last, never changed.

    Attributes:
        served: the gzip bytes as they came.
        csv: the same decoded.
        shape: what the decoded bytes look like.
        documents: fingerprints of the JSON files beside it.
        url, file_name, fetched_at: where it came from, what the server called it, when.
    """

    format: Literal[1] = 1
    data_set_id: str
    version: Number
    url: str
    file_name: str
    fetched_at: AwareDatetime
    fetched_by: str
    served: Bytes
    csv: Bytes
    shape: Shape
    documents: dict[str, Bytes]


class Listing(_Kept):
    """The publisher's data set and version list as last seen: where status and withdrawal are kept current.

    Attributes:
        seen_at: when we last looked.
        news_at: when anything last differed from the look before.
        turn: what the last look read beside page 1: see :func:`ks4_pipeline.poll.next_turn`.
        source: the API that was looked at, :attr:`ks4_pipeline.settings.Settings.source`.
    """

    format: Literal[1] = 1
    seen_at: AwareDatetime
    news_at: AwareDatetime
    turn: int = Field(default=1, ge=1)
    source: str
    summary: DataSetSummary
    versions: tuple[VersionRecord, ...]


class Refusal(_Kept):
    """Why a landed version was refused, when first and last, and how often the same bytes came again."""

    format: Literal[1] = 1
    version: Number
    sha256: str
    reason: str
    first_refused_at: AwareDatetime
    last_refused_at: AwareDatetime
    attempts: int


@dataclass(frozen=True)
class Refetched:
    """A landed version fetched once more.

    Attributes:
        landed: as it is in force.
        found: as the publisher serves it now: ``landed`` itself when the CSV is the same, byte for byte.
    """

    landed: Landed
    found: Landed

    @property
    def is_same(self) -> bool:
        """Whether the publisher still serves the same CSV; the gzip around it may be another."""
        return self.found.manifest.csv.sha256 == self.landed.manifest.csv.sha256


@dataclass(frozen=True)
class Damage:
    """A file that is not what landed, and how."""

    path: Path
    what: str

    def __str__(self) -> str:
        """As a sentence without its full stop."""
        return f"{self.path} {self.what}"


@dataclass(frozen=True)
class Landed:
    """One landed version on disk."""

    folder: Path
    manifest: Manifest

    @property
    def csv(self) -> Path:
        """The gzip bytes as served."""
        return self.folder / CSV

    @property
    def version(self) -> VersionNumber:
        """The exact version."""
        return self.manifest.version

    def verify(self) -> None:
        """Make sure that what is on disk is what landed.

        Raises:
            LandingError: when a file is gone, or its bytes are not those of the manifest.
        """
        for damage in self.damages():
            raise LandingError(f"{damage}. {_REMEDY}")

    def damages(self) -> Iterator[Damage]:
        """The files that are gone, or whose bytes are not those of the manifest."""
        for name, landed in {CSV: self.manifest.served, **self.manifest.documents}.items():
            path = self.folder / name
            try:
                found = Bytes.of(path)
            except OSError as error:
                yield Damage(path, f"cannot be read: {error}")
            else:
                if found != landed:
                    what = f"is not what landed: {_told(found)}, and the manifest has {_told(landed)}"
                    yield Damage(path, what)

    def csv_damages(self) -> Iterator[Damage]:
        """Where the manifest says something else of the CSV inside the gzip than a new reading finds."""
        try:
            with self.csv.open("rb") as file:
                packed = iter(partial(file.read, _PORTION), b"")
                found, shape = Records(packed, Gunzip(str(self.csv), _WITHOUT_LIMIT, "")).finish()
        except EesError as error:
            yield Damage(self.csv, f"cannot be unpacked: {error}")
            return
        if found != self.manifest.csv:
            what = f"says that the CSV has {_told(self.manifest.csv)}, and it has {_told(found)}"
            yield Damage(self.folder / MANIFEST, what)
        said = self.manifest.shape.model_copy(update={"rows_in_a_stretch": shape.rows_in_a_stretch})
        if Shape.of(shape) != said:
            yield Damage(self.folder / MANIFEST, "says something else of the CSV's rows and header than its bytes do")

    @cached_property
    def meta(self) -> Meta:
        """The version's ``/meta``."""
        return _read(self.folder / "meta.json", Meta)

    @cached_property
    def record(self) -> VersionRecord:
        """The version's record at the time of fetching; its status may have changed since (see :class:`Listing`)."""
        return _read(self.folder / "version.json", VersionRecord)

    @cached_property
    def changes(self) -> Changes:
        """What the publisher says the version changed."""
        return _read(self.folder / "changes.json", Changes)


class Landing:
    """The landing zone below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, data_set: DataSet, version: VersionNumber) -> Landed | None:
        """The landed version, or None when it has not landed.

        Raises:
            LandingError: when its manifest cannot be read, or is about something else.
        """
        folder = self._folder(data_set, version)
        if not (folder / MANIFEST).is_file():
            return None
        manifest = _read(folder / MANIFEST, Manifest)
        if (manifest.data_set_id, manifest.version) != (data_set.id, version):
            raise LandingError(
                f"{folder / MANIFEST} is about version {manifest.version} of data set {manifest.data_set_id}; expected "
                f"{version} of {data_set.id}. Move the folder away, or follow that data set under another name."
            )
        return Landed(folder, manifest)

    def versions(self, data_set: DataSet) -> tuple[VersionNumber, ...]:
        """All landed versions, oldest number first; folders of other names, such as copies, are passed over."""
        manifests = (self._root / data_set.name).glob(f"*/{MANIFEST}")
        found = (_version_named(path.parent.name) for path in manifests)
        return tuple(sorted(version for version in found if version is not None))

    def data_sets(self) -> tuple[tuple[DataSet, Listing], ...]:
        """Every data set that was ever looked at, followed or not, with the publisher's list as last seen."""
        found = []
        for path in sorted(self._root.glob("*/listing.json")):
            if not is_name(path.parent.name):
                continue  # a copy that somebody made
            listing = _read(path, Listing)
            found.append((DataSet(name=path.parent.name, id=listing.summary.id), listing))
        return tuple(found)

    def names(self) -> tuple[str, ...]:
        """The data sets that have a folder here, whether or not anything in it can be read."""
        return tuple(sorted(path.name for path in self._root.glob("*") if path.is_dir() and is_name(path.name)))

    def unfinished(self, name: str) -> tuple[VersionNumber, ...]:
        """The versions of a data set whose folder has no manifest: for all others they do not exist."""
        folders = (path for path in (self._root / name).glob("*") if path.is_dir() and not (path / MANIFEST).exists())
        found = (_version_named(folder.name) for folder in folders)
        return tuple(sorted(version for version in found if version is not None))

    def set_aside(self, name: str) -> Iterator[Landed]:
        """What is kept beside the versions of a data set: refused, republished, superseded.

        Raises:
            LandingError: when a manifest cannot be read.
        """
        for kind in (_REFUSED, _REPUBLISHED, _SUPERSEDED):
            for path in sorted((self._root / name / kind).glob(f"*/{MANIFEST}")):
                yield Landed(path.parent, _read(path, Manifest))

    def fetch(
        self,
        client: EesClient,
        data_set: DataSet,
        version: VersionNumber,
        on_progress: Progress | None = None,
        reader: Reader | None = None,
    ) -> Landed:
        """Bring a version here, unless it is here already.

        Args:
            client: to ask with.
            data_set: which.
            version: which.
            on_progress: told of the bytes of the CSV.
            reader: gets the CSV's records as they arrive; what it makes of them is worth something only when the
                download ends well, and their fingerprint is that of the manifest returned.

        Raises:
            EesTransferError: when the CSV did not arrive whole, or is another version's; nothing is kept of it.
            EesError: when the API cannot be reached or refuses.
        """
        landed = self.get(data_set, version)
        if landed is not None:
            return landed
        folder = self._folder(data_set, version)
        with self._incoming(client, data_set, version, on_progress, reader) as incoming:
            self._name(incoming, data_set, version)
        return Landed(folder, _read(folder / MANIFEST, Manifest))

    def refetch(
        self, client: EesClient, data_set: DataSet, landed: Landed, on_progress: Progress | None = None
    ) -> Refetched:
        """Fetch a landed version again and compare; other bytes are kept beside, and what is in force stays.

        At most one candidate is kept per version, what was served last; earlier ones are superseded.

        Raises:
            EesError: as for :meth:`fetch`.
        """
        version = landed.version
        with self._incoming(client, data_set, version, on_progress) as incoming:
            manifest = _read(incoming / MANIFEST, Manifest)
            fresh = manifest.csv.sha256
            for earlier in self._republished(data_set):
                if earlier.version == version and earlier.manifest.csv.sha256 != fresh:
                    self._supersede(data_set, earlier)
            if fresh == landed.manifest.csv.sha256:
                return Refetched(landed, landed)
            aside = _aside(self._root / data_set.name / _REPUBLISHED, version, fresh)
            if not (aside / MANIFEST).is_file():
                durable.make_folder(aside.parent)
                shutil.rmtree(aside, ignore_errors=True)
                durable.replace(incoming, aside)
        return Refetched(landed, Landed(aside, _read(aside / MANIFEST, Manifest)))

    def republished(self, data_set: DataSet) -> dict[VersionNumber, Landed]:
        """The versions whose publisher serves other bytes than those in force, as served last; nobody accepted them."""
        return {landed.version: landed for landed in self._republished(data_set)}

    def accept(self, data_set: DataSet, candidate: Landed) -> Landed:
        """Put a republished version in the place of the one in force, which is kept as superseded."""
        folder = self._folder(data_set, candidate.version)
        in_force = self.get(data_set, candidate.version)
        if in_force is not None:
            self._supersede(data_set, in_force)
        durable.replace(candidate.folder, folder)
        return Landed(folder, candidate.manifest)

    def finish_accepting(self) -> None:
        """Take the second of the two steps of :meth:`accept`, where a process was killed between them."""
        for manifest in self._root.glob(f"*/{_REPUBLISHED}/*/{MANIFEST}"):
            candidate, above = manifest.parent, manifest.parents[2]
            version = candidate.name.partition("-")[0]
            if not (above / version).exists() and any((above / _SUPERSEDED).glob(f"{version}-*/{MANIFEST}")):
                durable.replace(candidate, above / version)

    def remember(self, data_set: DataSet, listing: Listing) -> None:
        """Keep the publisher's version list as last seen.

        Raises:
            ConfigurationError: when the folder is another data set's.
        """
        self.known(data_set)
        folder = self._root / data_set.name
        durable.make_folder(folder)
        durable.write_atomically(folder / "listing.json", _json(listing))

    def known(self, data_set: DataSet) -> Listing | None:
        """The list as last seen, if there is one for the next to be compared with; one that is damaged is replaced.

        Raises:
            ConfigurationError: when the folder is another data set's.
        """
        try:
            known = self.listing(data_set)
        except LandingError:
            return None
        if known is not None and known.summary.id != data_set.id:
            raise ConfigurationError(
                f"{self._root / data_set.name} holds data set {known.summary.id}, and the configuration follows "
                f"{data_set.id} under its name now. Follow the new one under another name."
            )
        return known

    def listing(self, data_set: DataSet) -> Listing | None:
        """The publisher's version list as last seen; None before the first look."""
        return self.listing_of(data_set.name)

    def listing_of(self, name: str) -> Listing | None:
        """The same of whatever data set has that name here."""
        path = self._root / name / "listing.json"
        return _read(path, Listing) if path.is_file() else None

    def refuse(self, data_set: DataSet, landed: Landed, reason: str) -> Refusal:
        """Set a landed version aside with the reason; the same bytes refused again are kept once."""
        now = datetime.now(UTC)
        sha256 = landed.manifest.served.sha256
        aside = _aside(self._root / data_set.name / _REFUSED, landed.version, sha256)
        earlier = _read(aside / "refusal.json", Refusal) if (aside / "refusal.json").is_file() else None
        refusal = Refusal(
            version=landed.version,
            sha256=sha256,
            reason=reason,
            first_refused_at=earlier.first_refused_at if earlier else now,
            last_refused_at=now,
            attempts=earlier.attempts + 1 if earlier else 1,
        )
        durable.make_folder(aside.parent)
        shutil.rmtree(aside, ignore_errors=True)
        durable.write_atomically(landed.folder / "refusal.json", _json(refusal))
        durable.replace(landed.folder, aside)
        return refusal

    def refusals(self, data_set: DataSet) -> dict[VersionNumber, Refusal]:
        """The latest refusal of each version that has not landed since."""
        found: dict[VersionNumber, Refusal] = {}
        for path in (self._root / data_set.name / _REFUSED).glob("*/refusal.json"):
            refusal = _read(path, Refusal)
            known = found.get(refusal.version)
            if known is None or known.last_refused_at < refusal.last_refused_at:
                found[refusal.version] = refusal
        landed = set(self.versions(data_set))
        return {version: refusal for version, refusal in sorted(found.items()) if version not in landed}

    @contextmanager
    def _incoming(
        self,
        client: EesClient,
        data_set: DataSet,
        version: VersionNumber,
        on_progress: Progress | None,
        reader: Reader | None = None,
    ) -> Iterator[Path]:
        """A folder with a version just fetched, whole; it is gone after the block unless it was given a name."""
        parent = self._folder(data_set, version).parent
        durable.make_folder(parent)
        with unfinished.room(parent) as room:
            incoming = room / "version"
            incoming.mkdir()
            _fill(incoming, client, data_set, version, on_progress=on_progress or _silent, reader=reader)
            yield incoming

    def _name(self, incoming: Path, data_set: DataSet, version: VersionNumber) -> None:
        """Give a finished folder its name, unless another process or thread was quicker."""
        folder = self._folder(data_set, version)
        try:
            durable.replace(incoming, folder)
        except OSError:  # there is something under that name
            if self.get(data_set, version) is not None:
                return
            if not folder.exists():
                raise
        else:
            return
        stale = incoming.with_name("stale")  # a folder without a manifest; it goes with the room
        folder.replace(stale)
        if (stale / MANIFEST).is_file():  # it has got one in the meantime
            stale.replace(folder)
        else:
            durable.replace(incoming, folder)

    def _republished(self, data_set: DataSet) -> list[Landed]:
        """All republished folders, oldest fetch first."""
        manifests = (self._root / data_set.name / _REPUBLISHED).glob(f"*/{MANIFEST}")
        found = [Landed(path.parent, _read(path, Manifest)) for path in manifests]
        return sorted(found, key=lambda landed: landed.manifest.fetched_at)

    def _supersede(self, data_set: DataSet, landed: Landed) -> None:
        aside = _aside(self._root / data_set.name / _SUPERSEDED, landed.version, landed.manifest.csv.sha256)
        durable.make_folder(aside.parent)
        shutil.rmtree(aside, ignore_errors=True)  # the same bytes, superseded before
        durable.replace(landed.folder, aside)

    def _folder(self, data_set: DataSet, version: VersionNumber) -> Path:
        return self._root / data_set.name / str(version)


def _fill(
    folder: Path,
    client: EesClient,
    data_set: DataSet,
    version: VersionNumber,
    *,
    on_progress: Progress,
    reader: Reader | None,
) -> None:
    """Fetch all of a version into a folder: documents, CSV, and the manifest when all is right."""
    record, meta = client.version(data_set.id, version), client.meta(data_set.id, version)
    documents = {
        "version.json": record.body,
        "meta.json": meta.body,
        "changes.json": client.changes(data_set.id, version).body,
    }
    read = partial(reader, meta.model) if reader else None
    for name, body in documents.items():
        durable.write(folder / name, body)
    fingerprints = {
        name: Bytes(bytes=len(body), sha256=hashlib.sha256(body).hexdigest()) for name, body in documents.items()
    }

    def receive(stream: CsvStream) -> Manifest:
        file_name = _expected_name(stream, data_set, version)
        arrived = _receive(stream, folder / CSV, on_progress, read)
        return Manifest(
            data_set_id=data_set.id,
            version=version,
            url=stream.url,
            file_name=file_name,
            fetched_at=datetime.now(UTC),
            fetched_by=f"ks4_pipeline {__version__}",
            served=arrived.served,
            csv=arrived.csv,
            shape=Shape.of(arrived.shape),
            documents=fingerprints,
        )

    manifest = client.download(data_set.id, version, receive)
    durable.write(folder / MANIFEST, _json(manifest))
    durable.flush(folder)


def _expected_name(stream: CsvStream, data_set: DataSet, version: VersionNumber) -> str:
    """The file name, when it is that of the version asked for: nothing else says which version was served.

    A wrong one may come from a server that is just publishing, so it is worth one more attempt.
    """
    expected = f"{data_set.id}_v{version}.csv"
    if stream.file_name is None:
        raise EesTransferError(
            stream.url, f"expected a file named {expected}, and the answer names none.", worth=ONCE_MORE
        )
    if stream.file_name.lower() != expected:
        raise EesTransferError(
            stream.url,
            f"asked for version {version} ({expected}), and was served {stream.file_name[:100]!r}.",
            worth=ONCE_MORE,
        )
    return stream.file_name


def _receive(stream: CsvStream, path: Path, on_progress: Progress, reader: csv_arrival.Reader | None) -> Arrived:
    """Write the bytes as served; they are whole when it returns, and as many as announced."""
    arrived = csv_arrival.receive(
        stream.chunks, path, stream.gunzip, lambda received: on_progress(received, stream.length), reader
    )
    if stream.length is not None and arrived.served.bytes != stream.length:
        raise EesTransferError(stream.url, f"{stream.length} bytes were announced, and {arrived.served.bytes} came.")
    return arrived


def _told(found: Bytes) -> str:
    return f"{found.bytes} bytes with SHA-256 {found.sha256}"


def _aside(folder: Path, version: VersionNumber, sha256: str) -> Path:
    return folder / f"{version}-{sha256[:12]}"


def _version_named(folder: str) -> VersionNumber | None:
    """The version whose folder is called so, or None."""
    try:
        version = VersionNumber.parse(folder)
    except VersionNumberError:
        return None
    return version if str(version) == folder else None


def _read(path: Path, model: type[Document]) -> Document:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise LandingError(f"{path} cannot be read: {error}. {_REMEDY}") from error


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(indent=2, by_alias=True).encode() + b"\n"


def _silent(_received: int, _total: int | None) -> None:
    """Progress that nobody watches."""
