"""What a backup says of itself: `manifest.json`, written last, names everything else by its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson

from flxdr.backup.errors import BackupInvalid

FORMAT = "flxdr.backup"
VERSION = 1
NAME = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """A file of the backup: its size in bytes and its SHA-256."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Software:
    """What wrote the backup.

    Attributes:
        database: `sqlite` or `postgresql`, with which alone the dump can be put back.
        migrations: the newest one of each app; another version of the software may not know them.
    """

    flxdr: str
    database: Literal["sqlite", "postgresql"]
    database_version: str
    migrations: Mapping[str, str]


@dataclass(frozen=True)
class Chain:
    """The chain in the backup; `has_checkpoint` says whether the log signed it there."""

    chain_id: str
    blocks: int
    head: str
    coordinator_key: str
    has_checkpoint: bool


@dataclass(frozen=True)
class Manifest:
    """The whole document.

    Attributes:
        made_at: the moment that everything in the backup is of, in the canonical spelling.
        dump: the database's file.
        files: every file but this one and the blobs, by its path in the backup.
        blobs, blob_bytes: how many there are; `blobs.txt` lists them.
        missing: digests of files that rows name and that were not to be had; then the backup is not complete.
        removed: digests of files that were due to be discarded, and were, while the backup was made.
        counts: rows of the tables that an operator asks for first.
    """

    made_at: str
    software: Software
    chain: Chain
    dump: str
    files: Mapping[str, FileEntry]
    blobs: int
    blob_bytes: int
    missing: tuple[str, ...]
    removed: tuple[str, ...]
    counts: Mapping[str, int]
    has_keys: bool

    @property
    def is_complete(self) -> bool:
        return not self.missing

    def encode(self) -> bytes:
        document = {"format": FORMAT, "v": VERSION, **asdict(self)}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def read(folder: Path) -> tuple[Manifest, str]:
    """The manifest of a backup, and its SHA-256.

    Raises:
        BackupInvalid: there is none, or it cannot be read.
    """
    try:
        data = (folder / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BackupInvalid(
            f"{folder} is no backup: it has no {NAME}",
            expected="a folder that `manage.py backup` made",
            action=_those_below(folder),
        ) from error
    return _decode(data), hashlib.sha256(data).hexdigest()


def _decode(data: bytes) -> Manifest:
    try:
        document: Any = orjson.loads(data)
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise BackupInvalid(f"{NAME} is no manifest of a backup", expected=f"format {FORMAT}")
        if document.pop("v", None) != VERSION:
            raise BackupInvalid(
                f"{NAME} is of another version of this software", expected=f"v {VERSION}", action="Use that version."
            )
        return msgspec.convert(document, Manifest)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise BackupInvalid(f"{NAME} cannot be read: {error}", action="Use another backup.") from error


def _those_below(folder: Path) -> str | None:
    found = sorted(path.parent.name for path in folder.glob(f"[!.]*/{NAME}")) if folder.is_dir() else []
    return f"Name one of those in it; the newest is {folder / found[-1]}." if found else None
