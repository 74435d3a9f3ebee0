"""Copies of files that are kept elsewhere, up to a size. All processes of a machine share them.

A copy is removed when the room is needed for another, the one that was used longest ago first, and a day after its
last use in any case. One that somebody works with stays: its digest stands in a file under `held/` that is locked for
as long as the work lasts, so that the kernel lets go of it however a process ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from flxdr.platform.storage.files import PRIVATE, ensure_private_folder, temporary_file

REST_SECONDS = 60.0
"""A copy that was asked for this recently is about to be opened."""
LONGEST_SECONDS = 86_400.0
"""What nobody used for so long goes: files that were discarded elsewhere leave no copies for ever."""
LOOK_SECONDS = 3600.0

_TALLY = re.compile(rb"(\d+) (\d+(?:\.\d+)?)")

_holding: ContextVar[BinaryIO | None] = ContextVar("holding", default=None)


class FileCache:
    """Files under `root`, named by their digests, of `limit` bytes together where none of them is in use."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit

    def find(self, digest: str) -> Path | None:
        """The copy of a file; it is in use from now on."""
        path = self._path(digest)
        with self._locked():
            try:
                os.utime(path)
            except FileNotFoundError:
                return None
            self._hold(digest)
        return path

    def add(self, digest: str, temporary: Path, *, used: bool) -> Path:
        """Move a file into the cache, and others out of it where the room is needed.

        Args:
            used: it is in use from now on; otherwise it may be the next one to go.
        """
        path = self._path(digest)
        ensure_private_folder(path.parent)
        now = time.time()
        last_use = now if used else now - REST_SECONDS
        os.utime(temporary, (last_use, last_use))
        with self._locked() as tally:
            os.replace(temporary, path)
            if used:
                self._hold(digest)
            self._make_room(tally, path.stat().st_size, now)
        return path

    def drop(self, digest: str) -> None:
        """Remove a copy, in use or not."""
        with self._locked():
            self._path(digest).unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whatever this thread finds or adds for use in the block stays until the block ends."""
        folder = ensure_private_folder(self.root / "held")
        with ExitStack() as stack:
            with self._locked():
                file, _ = stack.enter_context(temporary_file(folder))
                fcntl.flock(file, fcntl.LOCK_EX)
            outer = _holding.set(file)
            try:
                yield
            finally:
                _holding.reset(outer)

    @contextmanager
    def fetching(self, digest: str) -> Iterator[None]:
        """One at a time: who waits for a file that another fetches finds it after that."""
        folder = ensure_private_folder(self.root / "fetching")
        with (folder / digest[:2]).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def incoming(self) -> Path:
        """The folder for files that are not complete; renaming one into the cache moves no bytes."""
        return ensure_private_folder(self.root / "incoming")

    def _path(self, digest: str) -> Path:
        return self.root / "files" / digest[:2] / digest

    def _hold(self, digest: str) -> None:
        file = _holding.get()
        if file is not None:
            file.write(f"{digest}\n".encode())
            file.flush()

    def _held(self) -> set[str]:
        digests: set[str] = set()
        for path in (self.root / "held").glob(".incoming-*"):
            with suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    digests.update(file.read().decode().split())
                else:
                    path.unlink()  # of a process that was killed
        return digests

    def _make_room(self, tally: BinaryIO, added: int, now: float) -> None:
        """Look through the copies if they are too many by the tally, or if it is time to.

        The tally is what was there at the last look and what came since: with a million small files, a look at all of
        them for each new one would take longer than fetching it.
        """
        found = _TALLY.fullmatch(tally.read())
        total, looked = (int(found[1]) + added, float(found[2])) if found else (0, 0.0)
        if total > self.limit or not now - LOOK_SECONDS <= looked <= now:
            total, looked = self._trim(now), now
        tally.seek(0)
        tally.truncate()
        tally.write(f"{total} {looked}".encode())

    def _trim(self, now: float) -> int:
        """Remove what is too old or too much; the bytes that are left."""
        too_old = now - LONGEST_SECONDS
        for path in self.incoming().glob(".incoming-*"):  # of processes that were killed
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < too_old:
                    path.unlink()
        copies = sorted((status.st_mtime, status.st_size, path) for path, status in self._copies())
        total = sum(size for _, size, _ in copies)
        target = self.limit * 0.9 if total > self.limit else self.limit
        held = self._held()
        for used, size, path in copies:
            if total <= target and used >= too_old:
                break
            if used <= now - REST_SECONDS and path.name not in held:
                path.unlink(missing_ok=True)
                total -= size
        return total

    def _copies(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in (self.root / "files").glob("??/*"):
            with suppress(FileNotFoundError):
                yield path, path.stat()

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Nobody else changes what is there; yields the file of the tally."""
        descriptor = os.open(ensure_private_folder(self.root) / "tally", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(descriptor, "r+b") as tally:
            fcntl.flock(tally, fcntl.LOCK_EX)
            yield tally
