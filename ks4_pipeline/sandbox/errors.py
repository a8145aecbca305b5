"""The errors of the sandbox: a description that cannot be used, and a change of state that makes no sense.

Answers of the stand-in API are not errors in this sense; they are made in :mod:`ks4_pipeline.sandbox.problems`.
"""

from __future__ import annotations

from ks4_pipeline.errors import ConfigurationError, Ks4Error


class DescriptionError(ConfigurationError):
    """A data set description that cannot be used; the message names the file and the key."""


class SandboxError(Ks4Error):
    """Something was asked of a running sandbox that it cannot do."""


class UnknownInSandboxError(SandboxError):
    """A data set or a version that no description names."""


class WrongStateError(SandboxError):
    """A version is not in a state from which the change asked for is possible."""
