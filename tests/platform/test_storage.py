"""Files are whole or absent, and a blob's name is the digest of its bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flxdr.platform.errors import BlobDamaged, BlobMissing, BlobTooLarge
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import BlobStore, blobs
from flxdr.platform.storage.files import create_once


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(chunks=st.lists(st.binary(max_size=50), max_size=8))
def test_what_is_put_is_got(store: BlobStore, chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    digest, size = store.put_stream(chunks, limit=len(data))
    assert (digest, size) == (sha256(data).hexdigest(), len(data))
    assert store.put(data) == digest
    assert store.get(digest) == data
    assert store.exists(digest)


def test_the_same_content_is_one_private_file(store: BlobStore) -> None:
    digest = store.put(b"data")
    store.put(b"data")
    assert files_of(store.root) == [store.path(digest)]
    assert store.path(digest).stat().st_mode & 0o777 == 0o600


def test_limit_is_enforced_before_the_stream_ends(store: BlobStore) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(4):
            yield b"x" * 4
        raise AssertionError("read on beyond the limit")

    with pytest.raises(BlobTooLarge) as refusal:
        store.put_stream(endless(), limit=15)
    assert refusal.value.fields == {"limit": 15}
    assert files_of(store.root) == []


def test_nothing_is_left_of_a_broken_stream(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put_stream(broken(), limit=10)
    assert files_of(store.root) == []


def test_killed_while_writing_leaves_no_blob(store: BlobStore) -> None:
    program = (
        "import os, sys; from pathlib import Path; from flxdr.platform.storage.blobs import BlobStore\n"
        "def chunks():\n    yield b'x'\n    os.kill(os.getpid(), 9)\n"
        "BlobStore(Path(sys.argv[1])).put_stream(chunks(), limit=10)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(store.root)], check=False).returncode == -9
    assert all(path.parent.name == "incoming" for path in files_of(store.root))
    assert not store.exists(sha256(b"x").hexdigest())


def test_missing_blob(store: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        store.get("0" * 64)
    with pytest.raises(BlobMissing):
        store.verify("0" * 64)
    assert not store.exists("0" * 64)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "é" * 64]
)
def test_names_that_are_no_digest_lead_nowhere(store: BlobStore, name: str) -> None:
    for use in (store.path, store.get, store.exists, store.verify):
        with pytest.raises(BlobMissing):
            use(name)


def test_changed_bytes_are_noticed(store: BlobStore) -> None:
    digest = store.put(b"data")
    store.path(digest).write_bytes(b"dada")
    with pytest.raises(BlobDamaged):
        store.get(digest)
    with pytest.raises(BlobDamaged):
        store.verify(digest)
    assert store.get(digest, verify=False) == b"dada"
    assert store.put(b"data") == digest
    assert store.get(digest) == b"data"
    assert store.verify(digest) == store.path(digest)


def test_configured_store_is_in_the_data_folder(data_dir: Path) -> None:
    assert blobs().path(blobs().put(b"x")).is_relative_to(data_dir / "blobs")


def test_scratch_is_thrown_away_and_blobs_of_the_same_bytes_stay(data_dir: Path) -> None:
    kept = blobs().put(b"x")
    assert scratch.scratch("round-1").put(b"x") == kept
    scratch.scratch("round-2").put(b"x")
    (data_dir / "scratch" / ".hidden").touch()
    assert scratch.stores() == ["round-1", "round-2"]
    scratch.discard("round-1")
    assert scratch.stores() == ["round-2"]
    assert blobs().get(kept) == b"x"
    assert scratch.scratch("round-2").get(kept) == b"x"


def test_nothing_to_throw_away(data_dir: Path) -> None:
    scratch.discard("round-1")
    assert scratch.stores() == []


@pytest.mark.parametrize("name", ["", ".", "..", "../blobs", "a/b", "/etc", "a\n"])
def test_a_scratch_store_stays_in_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        scratch.discard(name)


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
