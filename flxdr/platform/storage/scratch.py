"""Intermediate results on disk: content-addressed like blobs, and thrown away as a whole.

They have folders of their own, because the same bytes may be a blob that somebody else's row names.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from django.conf import settings

from flxdr.platform.storage.blobs import BlobStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}\Z")


def scratch(name: str) -> BlobStore:
    """The store of one piece of work.

    Raises:
        ValueError: a name that could lead out of the folder.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no name of a scratch store")
    return BlobStore(_root() / name)


def discard(name: str) -> None:
    """Throw the store away; what a straggler writes at this moment is left to the next call."""
    shutil.rmtree(scratch(name).root, ignore_errors=True)


def stores() -> list[str]:
    """The names of the stores that are there."""
    root = _root()
    return sorted(path.name for path in root.iterdir() if _NAME.match(path.name)) if root.is_dir() else []


def _root() -> Path:
    folder: Path = settings.FLXDR.data_dir / "scratch"
    return folder
