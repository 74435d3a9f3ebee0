"""What authentication asks about organisations; the federation answers by registering its directory."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from flxdr.core.errors import Misconfigured
from flxdr.core.keys import PublicKey


class Standing(Enum):
    """Whether an organisation may speak."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    OTHER = "other"  # unknown, pending, declined


class Directory(Protocol):
    """Organisations as authentication sees them."""

    def signing_keys(self, org_id: str) -> Sequence[PublicKey]:
        """Keys whose possession the organisation proved; empty if there are none or there is no such organisation."""
        ...

    def standing(self, org_id: str) -> Standing: ...

    def touch(self, org_id: str) -> None:
        """Note that the organisation was seen. Called on every request of its: must not write each time."""
        ...


class _Registry:
    directory: Directory | None = None


def register(directory: Directory) -> None:
    """Called once, by the app that knows organisations, when Django is ready."""
    _Registry.directory = directory


def current() -> Directory:
    """The registered directory.

    Raises:
        Misconfigured: no app registered one.
    """
    if _Registry.directory is None:
        raise Misconfigured("no app has registered a directory of organisations")
    return _Registry.directory
