"""``ks4 sandbox``: the stand-in EES API in the foreground, and how to point ks4 at it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ks4_pipeline.cli.console import command, say, say_wrapped
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.sandbox import serve
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, write_synthetic_ks4

if TYPE_CHECKING:
    from ks4_pipeline.sandbox import Sandbox

_DATA_DIR = Path("data/sandbox")


def sandbox(folder: Path | None, port: int, *, held: bool) -> None:
    """Serve a folder, or the synthetic data set from a temporary one, until interrupted.

    Raises:
        ConfigurationError: when the folder holds nothing to serve.
        SandboxError: when the port is taken.
    """
    if folder is not None and held:
        raise ConfigurationError("--held is for the synthetic data; a folder's own data_set.toml says what is held.")
    with ExitStack() as stack:
        root = folder
        if root is None:
            root = Path(stack.enter_context(TemporaryDirectory(prefix="ks4-synthetic-")))
            write_synthetic_ks4(root, held=held)
        elif not root.is_dir():
            raise ConfigurationError(f"{root} is not a folder. It needs one sub-folder per data set.")
        serve(root, port, announce=lambda running: _announce(running, folder))
    say("Stopped.")


def _announce(running: Sandbox, folder: Path | None) -> None:
    what = f"the data sets in {folder}" if folder else "the synthetic data set"
    say_wrapped(f"A stand-in for the EES API serves {what} on this machine only. Ctrl-C ends it.", "bold")
    say()
    say(f"Address     {running.url}")
    load = command({"KS4_API_URL": running.url, "KS4_DATA_DIR": _DATA_DIR}, "run")
    say(f"Load it     {load}")
    say(f"Versions    curl {running.admin_url}/data-sets")
    data_set = "<id>" if folder else DATA_SET_ID
    version = f"{running.admin_url}/data-sets/{data_set}/versions/2.0"
    say(f"Next one    curl -X POST {running.admin_url}/data-sets/{data_set}/publish-next")
    say(f"Withdraw    curl -X POST {version}/withdraw")
    say(f"Bring back  curl -X POST {version}/restore")
    fault = """'{"kind": "status", "status": 503, "times": 1}'"""
    say(f"Fail once   curl -X POST {running.admin_url}/faults -d {fault}")
    say(f"Requests    curl {running.admin_url}/requests")
