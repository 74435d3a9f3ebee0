"""What authentication asks about organisations; the federation answers by registering its directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from flxdr.core.errors import Misconfigured
from flxdr.core.keys import PublicKey


class Standing(Enum):
    """Whether an organisation may speak."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    OTHER = "other"  # unknown, pending, declined


@dataclass(frozen=True)
class Record:
    """What is known about an organisation at one moment; the defaults are those of one that does not exist.

    Attributes:
        signing_keys: those whose possession it proved.
        seen_lately: it need not be noted that it was seen again.
    """

    standing: Standing = Standing.OTHER
    signing_keys: Sequence[PublicKey] = ()
    seen_lately: bool = True


class Directory(Protocol):
    """Organisations as authentication sees them."""

    def look_up(self, org_id: str) -> Record: ...

    def touch(self, org_id: str) -> None:
        """Note that the organisation was seen."""
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
