"""Files are whole or absent, and a blob's name is the digest of its bytes: in a folder and in a bucket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flxdr.platform.errors import BlobDamaged, BlobMissing, BlobTooLarge
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.folder import FolderStore
from tests.platform.stores import Kept


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(chunks=st.lists(st.binary(max_size=50), max_size=8))
def test_what_is_put_is_got(kept: Kept, chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    digest, size = kept.store.put_stream(chunks, limit=len(data))
    assert (digest, size) == (sha256(data).hexdigest(), len(data))
    assert kept.store.put(data) == digest
    assert kept.store.get(digest) == kept.store.path(digest).read_bytes() == data
    assert kept.store.exists(digest)


def test_the_same_content_is_one_private_file(kept: Kept) -> None:
    digest = kept.store.put(b"data")
    kept.store.put(b"data")
    assert kept.digests() == [digest]
    assert kept.store.path(digest).stat().st_mode & 0o777 == 0o600


def test_all_files_are_listed_in_order(kept: Kept) -> None:
    assert list(kept.store.digests()) == []
    digests = {kept.store.put(bytes([number])) for number in range(20)}
    assert list(kept.store.digests()) == sorted(digests)


def test_a_digest_that_is_known_is_not_computed_again(kept: Kept) -> None:
    digest = sha256(b"data").hexdigest()
    assert kept.store.put(b"data", digest=digest) == digest
    assert kept.store.get(digest) == b"data"
    wrong = sha256(b"other").hexdigest()
    kept.store.put(b"data", digest=wrong)
    with pytest.raises(BlobDamaged):
        kept.store.verify(wrong)


def test_limit_is_enforced_before_the_stream_ends(kept: Kept) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(4):
            yield b"x" * 4
        raise AssertionError("read on beyond the limit")

    with pytest.raises(BlobTooLarge) as refusal:
        kept.store.put_stream(endless(), limit=15)
    assert refusal.value.fields == {"limit": 15}
    assert kept.digests() == []


def test_nothing_is_left_of_a_broken_stream(kept: Kept, data_dir: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        kept.store.put_stream(broken(), limit=10)
    assert kept.digests() == []
    assert [path for path in data_dir.rglob("*") if path.is_file()] == []


def test_missing_blob(kept: Kept) -> None:
    with pytest.raises(BlobMissing):
        kept.store.get("0" * 64)
    with pytest.raises(BlobMissing):
        kept.store.verify("0" * 64)
    assert not kept.store.exists("0" * 64)
    assert kept.store.discard("0" * 64, older_than=datetime.now(UTC))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "é" * 64]
)
def test_names_that_are_no_digest_lead_nowhere(kept: Kept, name: str) -> None:
    store = kept.store
    for use in (store.path, store.get, store.exists, store.verify):
        with pytest.raises(BlobMissing):
            use(name)
    with pytest.raises(BlobMissing):
        store.discard(name, older_than=datetime.now(UTC))


@pytest.mark.parametrize("change", [b"dada", b"dat", b"", b"data and more"])
def test_changed_bytes_are_noticed_and_storing_them_again_heals(kept: Kept, change: bytes) -> None:
    digest = kept.store.put(b"data")
    kept.change(digest, change)
    with pytest.raises(BlobDamaged):
        kept.store.get(digest)
    with pytest.raises(BlobDamaged):
        kept.store.verify(digest)
    assert kept.store.put(b"data") == digest
    assert kept.store.get(digest) == b"data"
    assert kept.store.verify(digest) == kept.store.path(digest)


def test_what_was_stored_before_a_moment_is_discarded(kept: Kept) -> None:
    digest, other = kept.store.put(b"data"), kept.store.put(b"other")
    now = datetime.now(UTC)
    assert not kept.store.discard(digest, older_than=now - timedelta(hours=1))
    assert kept.store.get(digest) == b"data"
    assert kept.store.discard(digest, older_than=now + timedelta(hours=1))
    assert kept.digests() == [other]
    with pytest.raises(BlobMissing):
        kept.store.get(digest)


def test_scratch_is_thrown_away_and_blobs_of_the_same_bytes_stay(kept: Kept, data_dir: Path) -> None:
    digest = kept.store.put(b"x")
    assert scratch.scratch("round-1").put(b"x") == digest
    scratch.scratch("round-1").put(b"y")
    scratch.scratch("round-2").put(b"x")
    scratch.scratch("round-11").put(b"x")
    assert scratch.stores() == ["round-1", "round-11", "round-2"]
    scratch.discard("round-1")
    assert scratch.stores() == ["round-11", "round-2"]
    assert not scratch.scratch("round-1").exists(digest)
    assert kept.store.get(digest) == b"x"
    assert scratch.scratch("round-2").get(digest) == b"x"
    assert kept.digests() == [digest]


@pytest.mark.usefixtures("kept")
def test_nothing_to_throw_away() -> None:
    scratch.discard("round-1")
    assert scratch.stores() == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", ["", ".", "..", "../blobs", "a/b", "/etc", "a\n"])
def test_a_scratch_store_stays_in_its_place(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        scratch.discard(name)


def test_without_a_bucket_files_are_in_the_data_folder(data_dir: Path) -> None:
    assert blobs().path(blobs().put(b"x")).is_relative_to(data_dir / "blobs")
    scratch.scratch("round-1").put(b"x")
    (data_dir / "scratch" / ".hidden").touch()
    assert scratch.stores() == ["round-1"]


def test_killed_while_writing_leaves_no_blob(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from flxdr.platform.storage.folder import FolderStore\n"
        "def chunks():\n    yield b'x'\n    os.kill(os.getpid(), 9)\n"
        "FolderStore(Path(sys.argv[1])).put_stream(chunks(), limit=10)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    assert all(path.parent.name == "incoming" for path in tmp_path.rglob("*") if path.is_file())
    assert not FolderStore(tmp_path).exists(sha256(b"x").hexdigest())


def test_a_coordinator_without_a_bucket_loads_no_client_of_one(tmp_path: Path) -> None:
    program = (
        "import sys, django; django.setup(); from flxdr.platform.storage.blobs import blobs\n"
        "blobs().put(b'x'); sys.exit('boto3' in sys.modules)"
    )
    environment = os.environ | {"FL_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "flxdr.settings"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
