"""Files that several processes make at once: one of them does."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from flxdr.platform.storage.files import create_once


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_create_once_makes_one_private_file(tmp_path: Path) -> None:
    start = Barrier(8, timeout=30)

    def make(_: int) -> bytes:
        start.wait()
        return create_once(tmp_path / "keys" / "seed", lambda: os.urandom(32))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1
    assert files_of(tmp_path) == [tmp_path / "keys" / "seed"]
    assert (tmp_path / "keys" / "seed").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_create_once_leaves_nothing_when_making_fails(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        create_once(tmp_path / "seed", fail)
    assert files_of(tmp_path) == []
