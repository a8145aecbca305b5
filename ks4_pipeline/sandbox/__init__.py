"""A stand-in for the EES API over real HTTP: serves any folder of CSV versions as the publisher would.

A root folder holds one sub-folder per data set, with a ``data_set.toml`` and CSV files; ``description.py`` has every
key. Faithful to the contract in what clients depend on (``ees-api-contract.md`` §12)::

    with Sandbox(root) as sandbox:
        httpx.get(f"{sandbox.url}/v1/data-sets/{data_set_id}/versions")
        sandbox.publish(data_set_id, "1.0.1")
        sandbox.fail(Fault(kind=FaultKind.CUT, path="*/csv", times=1))

What the network may do to it is in ``faults.py``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ks4_pipeline.sandbox.errors import DescriptionError, SandboxError
    from ks4_pipeline.sandbox.faults import Fault, FaultKind
    from ks4_pipeline.sandbox.requests import RequestRecord
    from ks4_pipeline.sandbox.server import DEFAULT_PORT, Sandbox, serve

__all__ = [
    "DEFAULT_PORT",
    "DescriptionError",
    "Fault",
    "FaultKind",
    "RequestRecord",
    "Sandbox",
    "SandboxError",
    "serve",
]

_HOMES = {
    "DescriptionError": "errors",
    "SandboxError": "errors",
    "Fault": "faults",
    "FaultKind": "faults",
    "RequestRecord": "requests",
    "DEFAULT_PORT": "server",
    "Sandbox": "server",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is: who only wants the synthetic figures needs no server."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
