"""``ks4 add``: follow another data set, by writing it into the configuration file without disturbing what is there."""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING

import tomlkit
from pydantic import ValidationError

from ks4_pipeline import durable
from ks4_pipeline.cli.console import command, say, say_wrapped, warn
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.errors import ConfigurationError, one_line
from ks4_pipeline.landing import Landing
from ks4_pipeline.settings import DataSet, Settings, config_path, faults_of, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def add(data_set_id: str, name: str) -> None:
    """Follow a data set under a name; what is wrong with either is said before anything is asked or written.

    Raises:
        ConfigurationError: for an unusable id or name, or one that is followed already.
        EesError: when the API does not open the data set.
    """
    settings = load_settings()
    data_set = _checked(data_set_id, name)
    _refuse_duplicates(settings, data_set)
    with EesClient(settings.api_url, limits=settings.limits) as client:
        summary = client.data_set(data_set.id).model
    path = config_path()
    text = path.read_bytes().decode() if path.exists() else ""
    _write(path, with_data_set(text, data_set, summary.title, settings.data_sets, path))
    say_wrapped(f"{summary.title} is now followed as {name}; written to {path}.")
    if summary.status != "Published":
        warn(f"The publisher calls this data set {summary.status}.")
    if summary.superseding_data_set_id:
        warn(f"Another data set takes its place: {summary.superseding_data_set_id}.")
    say(f"Load it: {command({}, 'run', '--data-set', name)}")


def with_data_set(text: str, new: DataSet, title: str, followed: tuple[DataSet, ...], path: Path) -> str:
    """The configuration's text with one more data set; comments and order stay.

    A file that names no data set means the default one, which must stay followed: then it is written too.

    Raises:
        ConfigurationError: when the file is written in a way that cannot be added to.
    """
    try:
        document = tomlkit.parse(text)
        if "data_sets" not in document:
            for data_set in followed:
                _put(document, data_set, None)
        _put(document, new, title)
        written = document.as_string()
        understood = Settings.model_validate(tomllib.loads(written)).data_sets
    except (ValueError, TypeError, AttributeError) as error:  # of tomlkit, tomllib and pydantic
        raise _by_hand(path, new) from error
    if set(understood) != {*followed, new}:
        raise _by_hand(path, new)
    return written


def _put(document: tomlkit.TOMLDocument, data_set: DataSet, title: str | None) -> None:
    table = tomlkit.table()
    if title:
        table.comment(one_line(title))
    table.add("id", data_set.id)
    followed = document.get("data_sets")
    if followed is None:
        followed = tomlkit.table(is_super_table=True)
        document.add("data_sets", followed)
    followed[data_set.name] = table


def _by_hand(path: Path, new: DataSet) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be added to without rewriting it. Add these two lines by hand:\n"
        f'[data_sets.{new.name}]\nid = "{new.id}"'
    )


def _checked(data_set_id: str, name: str) -> DataSet:
    try:
        return DataSet(name=name, id=data_set_id.strip())
    except ValidationError as error:
        raise ConfigurationError(faults_of(error)) from None


def _refuse_duplicates(settings: Settings, new: DataSet) -> None:
    for data_set in settings.data_sets:
        if data_set.id == new.id:
            raise ConfigurationError(f"{new.id} is followed already, under the name {data_set.name}.")
        if data_set.name == new.name:
            raise ConfigurationError(f"The name {new.name} is taken by {data_set.id}; choose another.")
    for held, _ in Landing(settings.landing_dir).data_sets():
        if held.name == new.name and held.id != new.id:
            raise ConfigurationError(
                f"{settings.data_dir} holds versions of {held.id} under the name {new.name}; choose another."
            )


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.new")
    try:
        durable.write(part, text.encode())
        if target.exists():
            shutil.copymode(target, part)
        durable.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
