"""A bucket that is down, slow or breaks off; copies on several machines; files that move into a bucket and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from flxdr.env import Env
from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.bucket import Bucket
from tests.support.object_store import Line, ObjectServer

LARGE = os.urandom(400_000)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_while_the_server_is_down_nothing_is_stored(line: Line, bucket: ObjectServer, data_dir: Path) -> None:
    line.cut = True
    with pytest.raises(StorageUnavailable) as refusal:
        blobs().put(LARGE)
    assert refusal.value.as_problem()["status"] == 503
    assert bucket.url.rpartition(":")[2] not in str(refusal.value)
    assert (bucket.objects(), files_of(data_dir)) == ([], [])
    line.cut = False
    assert blobs().get(blobs().put(LARGE)) == LARGE


def test_a_read_needs_the_server_only_where_there_is_no_copy(
    line: Line, data_dir: Path, env: Callable[..., Env]
) -> None:
    digest = blobs().put(LARGE)
    line.cut = True
    assert blobs().get(digest) == LARGE
    env(data_dir=data_dir / "another-machine")
    for use in (blobs().get, blobs().verify, blobs().path, blobs().exists):
        with pytest.raises(StorageUnavailable):
            use(digest)
    line.cut = False
    assert blobs().get(digest) == LARGE


@pytest.mark.parametrize("arrived", [0, 50, 100_000])
def test_an_answer_that_breaks_off_is_no_damage_and_leaves_no_copy(
    line: Line, data_dir: Path, env: Callable[..., Env], arrived: int
) -> None:
    digest = blobs().put(LARGE)
    env(data_dir=data_dir / "another-machine")
    line.answer_bytes = arrived
    with pytest.raises(StorageUnavailable):
        blobs().verify(digest)
    assert not [path for path in files_of(data_dir / "another-machine") if path.stat().st_size]
    line.answer_bytes = None
    assert blobs().get(digest) == LARGE


def test_a_slow_answer_is_waited_for(line: Line, data_dir: Path, env: Callable[..., Env]) -> None:
    digest = blobs().put(LARGE)
    env(data_dir=data_dir / "another-machine")
    line.pause = 0.05
    assert blobs().get(digest) == LARGE


@pytest.mark.parametrize(
    "wrong", [{"blobs_s3_bucket": "flxdr-none"}, {"blobs_s3_endpoint": "http://127.0.0.1:9"}, {"data_dir": None}]
)
def test_a_bucket_that_is_not_there_is_no_missing_file(
    bucket: ObjectServer, env: Callable[..., Env], tmp_path: Path, wrong: dict[str, object]
) -> None:
    digest = blobs().put(LARGE)
    if "data_dir" in wrong:  # the bucket goes while the coordinator runs
        bucket.remove(f"blobs/{digest[:2]}/{digest}")
        bucket.client.delete_bucket(Bucket=bucket.bucket)
        wrong = {}
    env(**wrong | {"data_dir": tmp_path / "another-machine"})
    for use in (blobs().get, blobs().path):
        with pytest.raises(StorageUnavailable):
            use(digest)
    with pytest.raises(StorageUnavailable):
        blobs().put(LARGE)


def test_a_damaged_copy_is_fetched_anew(bucket: ObjectServer, data_dir: Path) -> None:
    digest = blobs().put(LARGE)
    for damage in (b"", LARGE[:-1], LARGE[:-1] + b"?", LARGE + b"?"):
        for use in (blobs().get, lambda name: blobs().verify(name).read_bytes()):
            blobs().path(digest).write_bytes(damage)
            assert use(digest) == LARGE
    (copy,) = data_dir.rglob(digest)
    copy.unlink()
    assert blobs().get(digest) == LARGE


def test_who_wants_a_file_at_once_fetches_it_once(
    bucket: ObjectServer, data_dir: Path, env: Callable[..., Env], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = blobs().put(LARGE)
    env(data_dir=data_dir / "another-machine")
    original = Bucket.download
    fetched = []

    def counted(self: Bucket, name: str) -> Iterator[bytes]:
        fetched.append(name)
        yield from original(self, name)

    monkeypatch.setattr(Bucket, "download", counted)
    start = Barrier(8, timeout=30)

    def want(_: int) -> bytes:
        start.wait()
        return blobs().path(digest).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(want, range(8))) == {LARGE}
    assert fetched == [f"blobs/{digest[:2]}/{digest}"]


def test_several_coordinators_share_a_bucket_by_prefixes(bucket: ObjectServer, env: Callable[..., Env]) -> None:
    env(blobs_s3_prefix="north/prod")
    digest = blobs().put(b"x")
    assert bucket.objects() == [f"north/prod/blobs/{digest[:2]}/{digest}"]
    env(blobs_s3_prefix="south")
    assert not blobs().exists(digest)


def test_files_move_into_a_bucket_and_back_under_the_same_names(
    object_server: ObjectServer, data_dir: Path, env: Callable[..., Env]
) -> None:
    """As `aws s3 sync` does."""
    digests = [blobs().put(data) for data in (b"", b"x", LARGE)]
    bucket = object_server.another()
    for digest in digests:
        name = f"blobs/{digest[:2]}/{digest}"
        bucket.client.upload_file(str(data_dir / name), bucket.bucket, name)
    env(**bucket.values(), data_dir=data_dir / "another-machine")
    assert [blobs().get(digest) for digest in digests] == [b"", b"x", LARGE]

    env(blobs_s3_bucket=None, data_dir=data_dir / "third-machine")
    for name in bucket.objects():
        place = data_dir / "third-machine" / name
        place.parent.mkdir(parents=True)
        bucket.client.download_file(bucket.bucket, name, str(place))
    assert [blobs().get(digest) for digest in digests] == [b"", b"x", LARGE]
