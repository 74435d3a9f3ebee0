"""What a backup asks of a database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol


class Database(Protocol):
    """One engine."""

    name: Literal["sqlite", "postgresql"]
    """As the manifest calls it."""

    dump_name: str
    """Of the dump's file in a backup."""

    def version(self) -> str:
        """Of the engine."""

    def one_moment(self) -> AbstractContextManager[None]:
        """Everything that the default connection reads inside is of one moment. Writers are not held up."""

    def dump(self, target: Path) -> None:
        """Write the whole database of that moment into a new file; only inside `one_moment`.

        Raises:
            ToolFailed: a program that it takes is missing or failed.
            OSError: the file cannot be written.
        """

    def check(self, dump: Path) -> None:
        """Look whether a dump can be put back.

        Raises:
            BackupInvalid: it cannot be read.
            ToolFailed: as above.
        """

    def is_empty(self) -> bool:
        """Whether nothing is in the configured database yet."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Nobody else uses the configured database as this begins.

        Raises:
            RestoreRefused: somebody does.
        """

    def put_back(self, dump: Path, *, aside: Path | None) -> None:
        """Put the dump in the place of the configured database, in one step.

        Args:
            aside: folder that gets what was there before; None of an empty database.

        Raises:
            ToolFailed: as above; the database is what it was.
            OSError: as above.
        """
