"""``ks4 doctor``: each check with what was found, and what to do where something is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline import diagnosis
from ks4_pipeline.cli.cells import document
from ks4_pipeline.cli.console import console, say, say_wrapped
from ks4_pipeline.diagnosis import Diagnosis, Machine, State
from ks4_pipeline.errors import ConfigurationError, one_line
from ks4_pipeline.settings import config_path, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_STYLES = {State.FINE: "green", State.REMARK: "yellow", State.PERSON: "bold red", State.UNREACHABLE: "bold red"}
_WIDTH = max(map(len, State))
_VERDICTS = {
    0: "Nothing has to be done.",
    1: "Something needs a person: see above.",
    3: "The publisher is out of reach; all else is well.",
}


def doctor(*, as_json: bool, offline: bool) -> int:
    """Look, tell, and give the exit code: 0 fine, 1 something needs a person, 3 only the API is out of reach."""
    found = []
    for item in _all(Machine(), offline=offline):
        found.append(item)
        if not as_json:
            _tell(item)
    code = diagnosis.exit_code(found)
    if as_json:
        checks = [
            {"check": item.check, "state": str(item.state), "found": item.found, "remedy": item.remedy}
            for item in found
        ]
        say(document({"exit_code": code, "checks": checks}))
    else:
        say()
        say_wrapped(_VERDICTS[code], "bold")
    return code


def _all(machine: Machine, *, offline: bool) -> Iterator[Diagnosis]:
    yield from diagnosis.software(machine)
    path = config_path(machine.environ)
    try:
        settings = load_settings(machine.environ)
    except ConfigurationError as error:
        remedy = "Mend it; everything else depends on it and was not looked at."
        yield Diagnosis("configuration", State.PERSON, str(error), remedy)
        return
    yield from diagnosis.configuration(path, settings)
    yield from diagnosis.data_directory(settings, machine)
    yield from diagnosis.warehouse(settings, machine)
    yield from diagnosis.leftovers(settings)
    yield from diagnosis.landing(settings)
    yield from diagnosis.dagster(settings, machine)
    yield from diagnosis.clock(settings, machine)
    if not offline:
        yield from diagnosis.publisher(settings, machine)


def _tell(item: Diagnosis) -> None:
    from rich.text import Text

    line = Text(f"{item.state:<{_WIDTH}}", _STYLES[item.state])
    line.append(f"  {one_line(item.check)}: {one_line(item.found)}", "default not bold")
    console().print(line, soft_wrap=True)
    if item.remedy:
        say_wrapped(f"→ {item.remedy}", indent=_WIDTH + 2)
