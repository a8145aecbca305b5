"""What might keep the pipeline from working here: software, disk, files, locks, clock, publisher.

Each check gives what it found and, where something is to be done, what. Nothing is changed, not even a probe written.
What belongs to the machine comes in through :class:`Machine`, so that any machine can be described.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement

from ks4_pipeline import reachability, unfinished
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.landing import Landing, LandingError
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import STORAGE_VERSION, WarehouseError, WarehouseFile
from ks4_pipeline.warehouse.reading import loaded_versions, storage_version

_PACKAGE = "ks4_pipeline"
_REBUILD = "ks4 rebuild"
_NETWORK_FILE_SYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
    "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "vboxsf",
}  # fmt: skip
_SPARE_BYTES = 100_000_000
_CLOCK_MAY_DIFFER = 60.0
_LONDON = "Europe/London"


class State(StrEnum):
    """What a finding asks of the reader."""

    FINE = "fine"
    REMARK = "remark"
    """Worth knowing; nothing has to be done."""
    PERSON = "needs a person"
    UNREACHABLE = "out of reach"
    """The publisher gave no answer."""


@dataclass(frozen=True)
class Diagnosis:
    """One check: its name, what came of it, what was found, and what to do."""

    check: str
    state: State
    found: str
    remedy: str = ""


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _mounts() -> str | None:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


@dataclass(frozen=True)
class Machine:
    """What is asked of the machine and its operating system.

    Attributes:
        python: the interpreter's version.
        installed: the installed version of a package; None when it is not installed.
        mounts: the text of Linux's ``/proc/self/mountinfo``; None elsewhere.
        free_bytes: room left on the disk of a folder.
        may_write: whether this process may write into a folder.
        now: the time.
        environ: the environment.
    """

    python: str = ".".join(map(str, sys.version_info[:3]))
    installed: Callable[[str], str | None] = _installed
    mounts: Callable[[], str | None] = _mounts
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    may_write: Callable[[Path], bool] = lambda folder: os.access(folder, os.W_OK | os.X_OK)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


def exit_code(found: list[Diagnosis]) -> int:
    """0 nothing has to be done; 1 something needs a person; 3 only the publisher is out of reach."""
    states = {diagnosis.state for diagnosis in found}
    if State.PERSON in states:
        return 1
    return 3 if State.UNREACHABLE in states else 0


def software(machine: Machine) -> Iterator[Diagnosis]:
    """Python and the libraries, against the ranges this package asks for."""
    about = importlib.metadata.metadata(_PACKAGE)
    needed = [Requirement(text) for text in importlib.metadata.requires(_PACKAGE) or ()]
    wrong = []
    if not Requirement(f"python{about['Requires-Python']}").specifier.contains(machine.python):
        wrong.append(f"Python {machine.python}, needed {about['Requires-Python']}")
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = machine.installed(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is not installed")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version}, needed {requirement.specifier}")
    main = ", ".join(f"{name} {machine.installed(name)}" for name in ("duckdb", "polars", "dagster"))
    if wrong:
        remedy = "Install what constraints.txt names: pip install -r constraints.txt"
        yield Diagnosis("software", State.PERSON, "; ".join(wrong), remedy)
    else:
        yield Diagnosis("software", State.FINE, f"Python {machine.python}, {main}")


def configuration(path: Path, settings: Settings) -> Iterator[Diagnosis]:
    """Which file is in force, and whether what is here came from the publisher it names."""
    followed = ", ".join(data_set.name for data_set in settings.data_sets)
    where = str(path) if path.is_file() else f"no file {path}: defaults and environment"
    yield Diagnosis("configuration", State.FINE, f"{where}; {settings.api_url}; follows {followed}")
    try:
        known = Landing(settings.landing_dir).data_sets()
    except LandingError:
        return  # told by the check of landing
    followed_ids = {data_set.name: data_set.id for data_set in settings.data_sets}
    for data_set, listing in known:
        if data_set.name in followed_ids and listing.source != settings.source:
            found = f"{data_set.name} here is from {listing.source}, and the configuration asks {settings.source}"
            yield Diagnosis("publisher", State.PERSON, found, "Give another KS4_DATA_DIR, or the other api_url.")
        elif followed_ids.get(data_set.name, data_set.id) != data_set.id:
            found = f"{data_set.name} here is data set {data_set.id}; followed is {followed_ids[data_set.name]}"
            yield Diagnosis("publisher", State.PERSON, found, "Follow the new one under another name.")


def data_directory(settings: Settings, machine: Machine) -> Iterator[Diagnosis]:
    """Whether the data directory can be written, on what kind of disk, and with how much room."""
    folder = settings.data_dir.absolute()
    check = "data directory"
    if folder.exists() and not folder.is_dir():
        yield Diagnosis(check, State.PERSON, f"{folder} is not a folder", "Give another KS4_DATA_DIR.")
        return
    here = next(path for path in (folder, *folder.parents) if path.exists())
    if not machine.may_write(here):
        yield Diagnosis(check, State.PERSON, f"{here} cannot be written", "Check who owns it, or give another one.")
    elif here != folder:
        yield Diagnosis(check, State.REMARK, f"{folder} is not there yet; the first run makes it")
    else:
        yield Diagnosis(check, State.FINE, f"{folder} can be written")
    kind = _file_system(here.resolve(), machine.mounts())
    if kind in _NETWORK_FILE_SYSTEMS:
        found = f"{kind}, a network file system: locks and replacing open files are not sure to work there"
        yield Diagnosis("file system", State.PERSON, found, "Keep the data directory on a local disk.")
    else:
        yield Diagnosis("file system", State.FINE, kind or "its kind cannot be told on this platform")
    free, needed = machine.free_bytes(here), _needed(settings)
    state = State.FINE if free >= needed else State.PERSON
    found = f"{_size(free)} free; the next publish may need {_size(needed)}"
    yield Diagnosis("disk room", state, found, "" if state is State.FINE else "Make room on that disk.")


def warehouse(settings: Settings, machine: Machine) -> Iterator[Diagnosis]:
    """The published file: permissions, format, what lies beside it, and who is publishing."""
    path = settings.warehouse
    yield from _publisher_lock(path)
    for stray in sorted(path.parent.glob(f"{path.name}.wal*")):
        if stray.name == f"{path.name}.wal":
            found = f"{stray}: somebody opened the published file to write, and it may not open any more"
            yield Diagnosis(
                "stray .wal", State.PERSON, found, f"Move it away; if the file then does not open: {_REBUILD}"
            )
        else:
            found = f"{stray}: set aside at an earlier publish"
            yield Diagnosis("stray .wal", State.REMARK, found, "Delete it when nobody misses what was written.")
    if not path.exists():
        yield Diagnosis("warehouse", State.REMARK, f"{path} is not there yet", "ks4 run")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o222:
        found = f"{path} has mode {mode:04o}: who opens it without read_only locks others out"
        yield Diagnosis("permissions", State.PERSON, found, f"chmod 444 {path}")
    elif os.name != "nt":
        yield Diagnosis("permissions", State.FINE, f"{path} has mode {mode:04o}")
    try:
        version = storage_version(WarehouseFile(path))
    except WarehouseError as error:
        yield Diagnosis("warehouse", State.PERSON, str(error).splitlines()[0], _REBUILD)
        return
    library = machine.installed("duckdb")
    if _numbers(version) > _numbers(STORAGE_VERSION):
        found = f"format {version}: DuckDB 1.4 cannot read it"
        yield Diagnosis("warehouse", State.PERSON, found, _REBUILD)
    else:
        size = _size(path.stat().st_size)
        yield Diagnosis(
            "warehouse", State.FINE, f"{size}, format {version}: DuckDB {library} here reads it, and 1.4 and later do"
        )


def leftovers(settings: Settings) -> Iterator[Diagnosis]:
    """What was never finished: builds and rooms of those at work are told from those of the dead."""
    if not settings.data_dir.is_dir():
        return
    builds = sorted(settings.data_dir.glob(f"{settings.warehouse.stem}.build-*"))
    dead = [] if _is_held(_lock_of(settings.warehouse)) else builds
    dead += [room.with_suffix("") for room in unfinished.rooms(settings.data_dir) if not _is_held(room)]
    if dead:
        names = ", ".join(str(path.relative_to(settings.data_dir)) for path in dead)
        found = f"left by processes that ended early: {names}"
        yield Diagnosis("unfinished work", State.REMARK, found, "The next run removes it.")
    else:
        yield Diagnosis("unfinished work", State.FINE, "nothing was left behind")


def landing(settings: Settings) -> Iterator[Diagnosis]:
    """Landing folders that do not count, lists that cannot be read, and versions that wait for a person."""
    zone = Landing(settings.landing_dir)
    try:
        loaded = {name: set(found) for name, found in loaded_versions(WarehouseFile(settings.warehouse)).items()}
    except Ks4Error:
        loaded = {}  # told by the check of the warehouse
    told = False
    for name in zone.names():
        for version in zone.unfinished(name):
            told = True
            folder = settings.landing_dir / name / str(version)
            if version in loaded.get(name, set()):
                remedy = f"Move {folder} away, then: ks4 run --data-set {name} --version {version}"
                yield Diagnosis("landing", State.PERSON, f"{folder} has no manifest, and is loaded", remedy)
            else:
                found = f"{folder} has no manifest: a download that was never finished"
                yield Diagnosis("landing", State.REMARK, found, "The next run replaces it.")
        try:
            for waiting in _waiting(zone, name, loaded.get(name, set())):
                told = True
                yield waiting
        except LandingError as error:
            told = True
            yield Diagnosis("landing", State.PERSON, str(error).splitlines()[0], "ks4 verify says more.")
    if not told:
        yield Diagnosis("landing", State.FINE, "every landed version has its manifest, and none waits for a person")


def dagster(settings: Settings, machine: Machine) -> Iterator[Diagnosis]:
    """Where Dagster keeps its storage, and whether its configuration can be read."""
    named = machine.environ.get("DAGSTER_HOME")
    home = Path(named) if named else settings.data_dir / "dagster"
    configuration_file = home / "dagster.yaml"
    which = f"DAGSTER_HOME is {home}" if named else f"DAGSTER_HOME is not set; ks4 dev uses {home}"
    if named and not home.is_absolute():
        found = f"{which}, and Dagster takes absolute paths only"
        yield Diagnosis("Dagster", State.PERSON, found, "Set DAGSTER_HOME to an absolute path.")
    elif home.exists() and not home.is_dir():
        yield Diagnosis("Dagster", State.PERSON, f"{which}, and that is not a folder", "Set DAGSTER_HOME to a folder.")
    elif not configuration_file.exists():
        yield Diagnosis("Dagster", State.REMARK, f"{which}; no dagster.yaml there yet", "ks4 dev writes one.")
    else:
        try:
            content = yaml.safe_load(configuration_file.read_text(encoding="utf-8"))
            fault = None if content is None or isinstance(content, dict) else "it is not a table of keys"
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            fault = " ".join(str(error).split())
        if fault:
            remedy = "Mend it, or move it away: ks4 dev writes a new one."
            yield Diagnosis("Dagster", State.PERSON, f"{configuration_file} cannot be read: {fault}", remedy)
        else:
            yield Diagnosis("Dagster", State.FINE, f"{which}; dagster.yaml can be read")


def clock(settings: Settings, machine: Machine) -> Iterator[Diagnosis]:
    """Whether the time can be right, and times in London can be told."""
    now = machine.now()
    try:
        london = now.astimezone(ZoneInfo(_LONDON))
    except ZoneInfoNotFoundError:
        found = f"the time zone {_LONDON}, by which schedules go, is not known here"
        yield Diagnosis("clock", State.PERSON, found, "pip install tzdata")
        return
    newest = max((seen for seen in _times_seen(settings)), default=now)
    if newest > now + timedelta(seconds=_CLOCK_MAY_DIFFER):
        found = f"it is {now:%Y-%m-%d %H:%M} UTC here, and the publisher was looked at {newest:%Y-%m-%d %H:%M} UTC"
        yield Diagnosis("clock", State.PERSON, found, "Set this machine's clock.")
    else:
        yield Diagnosis("clock", State.FINE, f"{now:%Y-%m-%d %H:%M} UTC, {london:%H:%M} in London")


def publisher(settings: Settings, machine: Machine) -> Iterator[Diagnosis]:
    """One question per followed data set."""
    ahead: list[float] = []
    for answered in reachability.ask(settings, machine.now):
        check = f"API, {answered.data_set.name}"
        if answered.ahead is not None:
            ahead.append(answered.ahead)
        if answered.error is None:
            yield Diagnosis(check, State.FINE, f"answered in {answered.seconds * 1000:.0f} ms")
        else:
            state = State.UNREACHABLE if answered.is_out_of_reach else State.PERSON
            remedy = reachability.explain(answered.error, machine.environ)
            yield Diagnosis(check, state, str(answered.error), remedy)
    furthest = max(ahead, key=abs, default=0.0)
    if abs(furthest) > _CLOCK_MAY_DIFFER:
        which = "ahead of" if furthest > 0 else "behind"
        found = f"this machine is {abs(furthest):.0f} s {which} the publisher's server"
        yield Diagnosis("clock", State.PERSON, found, "Set this machine's clock.")


def _publisher_lock(path: Path) -> Iterator[Diagnosis]:
    held = _is_held(_lock_of(path))
    if held is None:
        yield Diagnosis("publisher lock", State.REMARK, "whether somebody publishes cannot be told on this platform")
    elif held:
        found = f"somebody is publishing{_note_of(path)}"
        yield Diagnosis("publisher lock", State.REMARK, found, "Others wait for it, and readers do not notice.")
    else:
        yield Diagnosis("publisher lock", State.FINE, "free")


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _note_of(path: Path) -> str:
    """The word that a publisher leaves beside its lock, if any."""
    note = path.with_name(f"{path.name}.publisher.json")
    try:
        content = note.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return f": {' '.join(content.split())[:300]}"


def _is_held(lock: Path) -> bool | None:
    """Whether a process holds a lock file; None where that cannot be found out without taking it."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _waiting(zone: Landing, name: str, loaded: set[VersionNumber]) -> Iterator[Diagnosis]:
    listing = zone.listing_of(name)
    if listing is None:
        return
    data_set = DataSet(name=name, id=listing.summary.id)
    for version, refusal in zone.refusals(data_set).items():
        if version not in loaded:
            found = f"{name} {version} is refused, {refusal.attempts} times by now: {refusal.reason.splitlines()[0]}"
            remedy = "Tell the publisher; the next run fetches it anew. What was published stays."
            yield Diagnosis("refused version", State.PERSON, found, remedy)
    for version in zone.republished(data_set):
        found = f"{name} {version} is served with other bytes than those in force"
        remedy = f"Look at it, then: ks4 accept {version} --data-set {name}"
        yield Diagnosis("republished version", State.PERSON, found, remedy)


def _times_seen(settings: Settings) -> Iterator[datetime]:
    zone = Landing(settings.landing_dir)
    for name in zone.names():
        try:
            listing = zone.listing_of(name)
        except LandingError:
            continue
        if listing:
            yield listing.seen_at


def _needed(settings: Settings) -> int:
    """Room for the next edition beside the present one, and for typing the largest CSV once more."""
    try:
        present = settings.warehouse.stat().st_size
    except OSError:
        present = 0
    served = settings.landing_dir.glob("*/*/data.csv.gz")
    largest = max((path.stat().st_size for path in served), default=0)
    return 2 * present + 20 * largest + _SPARE_BYTES  # published CSVs unpack to 10 to 20 times their size


def _file_system(folder: Path, mounts: str | None) -> str | None:
    """The kind of file system a folder is on, by the longest mount point above it."""
    found: tuple[int, str] | None = None
    for line in (mounts or "").splitlines():
        fields, _, behind = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), fields.split(" ")[4]))
        if folder.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), behind.split(" ")[0]
    return found[1] if found else None


def _numbers(version: str) -> tuple[int, ...]:
    """``v1.4.0+`` as numbers."""
    return tuple(map(int, re.findall(r"\d+", version)))


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
