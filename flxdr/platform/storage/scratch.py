"""Intermediate results: content-addressed like blobs, where all workers find them, and thrown away as a whole.

They have stores of their own, because the same bytes may be a blob that somebody else's row names.
"""

from __future__ import annotations

import re

from flxdr.platform.storage.blobs import configured
from flxdr.platform.storage.store import BlobStore

_PARENT = "scratch"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}\Z")


def scratch(name: str) -> BlobStore:
    """The store of one piece of work.

    Raises:
        ValueError: a name that could lead out of the place.
    """
    return configured().store(_place(name))


def discard(name: str) -> None:
    """Throw the store away; what a straggler writes at this moment is left to the next call."""
    configured().remove(_place(name))


def stores() -> list[str]:
    """The names of the stores that are there."""
    return [name for name in configured().names(_PARENT) if _NAME.match(name)]


def _place(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no name of a scratch store")
    return f"{_PARENT}/{name}"
