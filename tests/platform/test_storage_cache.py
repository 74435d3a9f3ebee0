"""Which copies stay and which go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from flxdr.platform.storage import cache as module
from flxdr.platform.storage.cache import LONGEST_SECONDS, LOOK_SECONDS, REST_SECONDS, FileCache
from flxdr.platform.storage.files import temporary_file

SIZE = 1000


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    """Room for three files."""
    return FileCache(tmp_path / "cache", limit=3 * SIZE + 500)


def add(cache: FileCache, name: str, *, used: bool = False) -> str:
    data = name.encode().ljust(SIZE)
    digest = sha256(data).hexdigest()
    with temporary_file(cache.incoming()) as (file, temporary):
        file.write(data)
        file.flush()
        cache.add(digest, temporary, used=used)
    return digest


def rest(cache: FileCache, digests: Sequence[str], seconds: float = REST_SECONDS + 1) -> None:
    """As if so much time had passed since they were used."""
    for digest in digests:
        (path,) = cache.root.rglob(digest)
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def left(cache: FileCache, digests: Sequence[str]) -> list[bool]:
    return [any(cache.root.glob(f"files/??/{digest}")) for digest in digests]


def test_the_one_that_was_used_longest_ago_goes_first(cache: FileCache) -> None:
    digests = [add(cache, name) for name in "abc"]
    rest(cache, digests, 1000)
    assert cache.find(digests[0]) is not None
    rest(cache, digests[:1])
    digests.append(add(cache, "d"))
    assert left(cache, digests) == [True, False, True, True]


def test_what_was_asked_for_a_moment_ago_stays_beyond_the_limit(cache: FileCache) -> None:
    digests = [add(cache, name, used=True) for name in "abcdef"]
    assert all(left(cache, digests))
    rest(cache, digests)
    digests.append(add(cache, "g", used=True))
    assert left(cache, digests) == [False] * 4 + [True] * 3


def test_what_somebody_works_with_stays_until_it_is_done(cache: FileCache) -> None:
    digests = [add(cache, name) for name in "ab"]
    with cache.held():
        assert cache.find(digests[0]) is not None
        digests.append(add(cache, "c", used=True))
        rest(cache, digests, 1000)
        digests += [add(cache, name) for name in "def"]
        assert left(cache, digests) == [True, False, True, False, False, True]
    digests.append(add(cache, "g"))
    assert left(cache, digests) == [False, False, True, False, False, True, True]


def test_a_killed_process_holds_nothing(cache: FileCache) -> None:
    digests = [add(cache, name) for name in "ab"]
    program = (
        "import os, sys; from pathlib import Path; from flxdr.platform.storage.cache import FileCache\n"
        "cache = FileCache(Path(sys.argv[1]), 0)\n"
        "with cache.held():\n    assert cache.find(sys.argv[2])\n    os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", program, str(cache.root), digests[0]]
    assert subprocess.run(command, check=False).returncode == -9
    assert len(list(cache.root.glob("held/.incoming-*"))) == 1
    rest(cache, digests, 1000)
    rest(cache, digests[:1], 1000)
    digests += [add(cache, name) for name in "cd"]
    assert left(cache, digests) == [False, True, True, True]
    assert list(cache.root.glob("held/.incoming-*")) == []


def test_what_nobody_used_for_a_day_goes_though_there_is_room(cache: FileCache) -> None:
    digests = [add(cache, name) for name in "ab"]
    rest(cache, digests[:1], LONGEST_SECONDS)
    (cache.incoming() / ".incoming-left").write_bytes(b"of a process that was killed")
    os.utime(cache.incoming() / ".incoming-left", (0, 0))
    (cache.root / "tally").write_text(f"{2 * SIZE} {time.time() - LOOK_SECONDS - 1}")
    digests.append(add(cache, "c"))
    assert left(cache, digests) == [False, True, True]
    assert list(cache.incoming().iterdir()) == []


def test_a_look_at_all_copies_is_taken_only_where_the_tally_asks_for_it(
    cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(cache, "a")
    looks = []
    original = FileCache._trim

    def counted(self: FileCache, now: float) -> int:
        looks.append(now)
        return original(self, now)

    monkeypatch.setattr(module.FileCache, "_trim", counted)
    add(cache, "b")
    add(cache, "c")
    assert looks == []
    add(cache, "d")
    assert len(looks) == 1


@pytest.mark.parametrize("tally", ["", "garbage", "1", "10 20 30", "-5 x", "1 -2", "99999999999999999999 0"])
def test_a_damaged_tally_is_made_anew(cache: FileCache, tally: str) -> None:
    add(cache, "a")
    (cache.root / "tally").write_text(tally)
    digest = add(cache, "b")
    assert left(cache, [digest]) == [True]
    assert int((cache.root / "tally").read_text().split()[0]) == 2 * SIZE


def test_nothing_is_kept_where_there_is_no_room(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, limit=0)
    assert left(cache, [add(cache, "a")]) == [False]
    digest = add(cache, "b", used=True)
    assert cache.find(digest) is not None
