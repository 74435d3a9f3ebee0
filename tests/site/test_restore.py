"""A backup is put back whole or not at all, and never over something that counts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flxdr.backup import files, manifest
from flxdr.supervisor import exclusive
from tests.site.backups import answer, manage, more, seed
from tests.support.processes import REPOSITORY, clean_environment, eventually
from tests.support.services import postgres_database

Environment = dict[str, str]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `state`, a coordinator with two releases, and `backup`, of it with its keys."""
    folder = tmp_path_factory.mktemp("seeded")
    environment = {"FL_DATA_DIR": str(folder / "state")}
    seed(environment)
    made = answer(environment, "backup", str(folder / "backups"), "--with-keys")
    shutil.move(made["folder"], folder / "backup")
    return folder


@pytest.fixture
def backup(seeded: Path) -> str:
    return str(seeded / "backup")


@pytest.fixture
def empty(tmp_path: Path) -> Environment:
    return {"FL_DATA_DIR": str(tmp_path / "new")}


@pytest.fixture
def own(seeded: Path, tmp_path: Path) -> Environment:
    """The backed-up coordinator, for this test alone."""
    return {"FL_DATA_DIR": str(shutil.copytree(seeded / "state", tmp_path / "own"))}


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


def test_everything_is_back(seeded: Path, backup: str, empty: Environment) -> None:
    said = answer(empty, "restore", backup)
    assert (said["blocks"], said["files"], said["replaced_blocks"], said["warnings"]) == (6, 9, None, [])
    restored, before = Path(empty["FL_DATA_DIR"]), seeded / "state"
    found, expected = rows(restored / "fl_blockchain.db"), rows(before / "fl_blockchain.db")
    for name, content in expected.items():
        if name.startswith(("platform_", "sqlite_", "ledger_verificationpass")):
            continue  # the backup itself was recorded, and the restore
        assert found[name] == content, name
    for part in ("blobs", "keys"):
        for path in (before / part).rglob("*_seed" if part == "keys" else "*"):
            if path.is_file():
                assert (restored / path.relative_to(before)).read_bytes() == path.read_bytes()
    verified = json.loads(manage(empty, "verify_chain", "--recompute", "--json").stdout)
    assert (verified["chain_valid"], verified["recomputation"]["matched"]) == (True, 2)
    more(empty)
    assert json.loads(manage(empty, "verify_chain", "--json").stdout)["blocks_verified"] == 7


def test_what_counts_is_not_overwritten(backup: str, own: Environment, tmp_path: Path) -> None:
    more(own)
    assert "the database is not empty" in manage(own, "restore", backup, code=1).stderr
    folder = Path(own["FL_DATA_DIR"])
    with exclusive(folder / "run"):
        assert "already runs" in manage(own, "restore", backup, "--replace", code=1).stderr
    with closing(sqlite3.connect(folder / "fl_blockchain.db")) as other:
        other.execute("SELECT count(*) FROM blocks").fetchone()  # an open connection, idle
        assert "another process uses" in manage(own, "restore", backup, "--replace", code=1).stderr
    key = folder / "keys" / "log_ed25519_seed"
    kept = key.read_bytes()
    key.write_bytes(bytes(32))
    assert "is another key than the backup's" in manage(own, "restore", backup, "--replace", code=1).stderr
    key.write_bytes(kept)
    assert json.loads(manage(own, "verify_chain", "--json").stdout)["blocks_verified"] == 7
    said = answer(own, "restore", backup, "--replace")
    assert (said["blocks"], said["replaced_blocks"]) == (6, 7)
    with closing(sqlite3.connect(Path(said["aside"]) / "fl_blockchain.db")) as aside:
        assert aside.execute("SELECT count(*) FROM blocks").fetchone() == (7,)


def test_refused_before_anything_is_touched(backup: str, empty: Environment, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(backup, tmp_path / "damaged"))
    with (damaged / "chain.jsonl").open("ab") as chain:
        chain.write(b"x")
    assert "it was changed" in manage(empty, "restore", str(damaged), code=1).stderr
    later = Path(shutil.copytree(backup, tmp_path / "later"))
    document = json.loads((later / manifest.NAME).read_text())
    document["software"]["migrations"]["federation"] = "9999_of_tomorrow"
    (later / manifest.NAME).write_text(json.dumps(document))
    assert "federation.9999_of_tomorrow" in manage(empty, "restore", str(later), code=1).stderr
    assert "has no manifest.json" in manage(empty, "restore", str(tmp_path), code=1).stderr
    with postgres_database(tmp_path / "services") as url:
        other = {**empty, "DATABASE_URL": url}
        assert "is of sqlite" in manage(other, "restore", backup, code=1).stderr
    folder = Path(empty["FL_DATA_DIR"])
    assert not (folder / "fl_blockchain.db").exists()
    assert not (folder / "blobs").exists()


def test_killed_in_the_middle_and_run_again(backup: str, own: Environment) -> None:
    more(own)
    with _stopped_in_the_middle(own, backup) as process:
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
    folder = Path(own["FL_DATA_DIR"])
    assert json.loads(manage(own, "verify_chain", "--recompute", "--json").stdout)["recomputation"]["matched"] == 3
    assert answer(own, "restore", backup, "--replace")["blocks"] == 6
    assert not list(folder.glob(".restoring-*"))


@contextmanager
def _stopped_in_the_middle(environment: Environment, backup: str) -> Iterator[subprocess.Popen[bytes]]:
    """A restore that waits where it looks at a file that is there already: a pipe that nobody writes to."""
    digest = (Path(backup) / files.BLOB_LIST).read_text().split()[0]
    held = Path(environment["FL_DATA_DIR"]) / "blobs" / digest[:2] / digest
    aside = held.rename(held.with_suffix(".aside"))
    subprocess.run(["mkfifo", str(held)], check=True)
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), "restore", backup, "--replace"],
        env=clean_environment(environment), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    writer = None
    try:
        writer = eventually(lambda: _opened(held), what="the restore is at the files", timeout=90)
        yield process
    finally:
        process.kill()
        process.wait()
        if writer is not None:
            os.close(writer)
        aside.replace(held)


def _opened(pipe: Path) -> int | None:
    """The pipe's writing end, which can be opened once somebody has opened it for reading; nothing is written."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_the_chain_goes_on_further_than_the_backup(
    backup: str, own: Environment, empty: Environment, tmp_path: Path
) -> None:
    """The newest release is on the chain and not in the backup: its model comes from a member's file."""
    more(own)
    export = tmp_path / "chain.jsonl"
    manage(own, "export_chain", str(export))
    newer = json.loads(export.read_text().splitlines()[-1])["checkpoint"]
    (tmp_path / "held.json").write_text(json.dumps(newer))
    refused = manage(empty, "restore", backup, "--checkpoint", str(tmp_path / "held.json"), code=1)
    assert "checkpoint_beyond_chain" in refused.stderr
    answer(empty, "restore", backup)
    manage(empty, "restore_chain", str(export))
    with pytest.raises(subprocess.CalledProcessError):
        more(empty)
    blob = _newest_model(Path(own["FL_DATA_DIR"]))
    (tmp_path / "junk").write_bytes(b"junk")
    assert manage(empty, "adopt_release", str(tmp_path / "junk"), code=1).stderr
    assert "v3 of block 6 is released again" in manage(empty, "adopt_release", str(blob)).stdout
    assert "that this database lacks" in manage(empty, "adopt_release", str(blob), code=1).stderr
    more(empty)
    verified = json.loads(manage(empty, "verify_chain", "--recompute", "--json").stdout)
    assert (verified["chain_valid"], verified["blocks_verified"]) == (True, 8)
    assert (verified["recomputation"]["matched"], len(verified["recomputation"]["not_recomputable"])) == (3, 1)


def _newest_model(state: Path) -> Path:
    with closing(sqlite3.connect(state / "fl_blockchain.db")) as database:
        query = "SELECT blob_digest FROM federation_modelversion ORDER BY id DESC LIMIT 1"
        (digest,) = database.execute(query).fetchone()
    return state / "blobs" / str(digest)[:2] / str(digest)
