"""A backup is whole, of one moment, and believed only as it was written."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection

from federation.models import TrainingRound
from federation.selectors.stored_files import named_files
from flxdr.backup import files, manifest
from flxdr.backup.databases.configured import database
from flxdr.backup.errors import BackupInvalid
from flxdr.backup.making import PARTIAL, backups_in, make_backup
from flxdr.backup.rotation import rotate
from flxdr.backup.verification import verify_backup
from flxdr.core.clock import SystemClock
from flxdr.env import BASE_DIR
from flxdr.platform.models import AuditEvent, UsedToken
from flxdr.platform.storage.blobs import blobs
from tests.site.backups import answer, manage, seed
from tests.support.processes import REPOSITORY, clean_environment, eventually

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a coordinator with two released models; tests only read it."""
    environment = {"FL_DATA_DIR": str(tmp_path_factory.mktemp("seeded") / "state")}
    seed(environment)
    return environment


@pytest.fixture
def own(state: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same, for this test alone."""
    shutil.copytree(state["FL_DATA_DIR"], tmp_path / "state")
    return {"FL_DATA_DIR": str(tmp_path / "state")}


@pytest.fixture(scope="module")
def whole(state: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(answer(state, "backup", str(tmp_path_factory.mktemp("backups")), "--with-keys")["folder"])


@pytest.fixture
def backup(whole: Path, tmp_path: Path) -> Path:
    """A backup that this test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "backup"))


def test_what_is_in_it(whole: Path) -> None:
    document, _ = manifest.read(whole)
    assert (document.chain.blocks, document.blobs, document.missing) == (6, 9, ())  # two rounds of three, three models
    assert (document.counts["organizations"], document.counts["rounds"], document.counts["submissions"]) == (3, 2, 6)
    assert {"chain.jsonl", "checkpoint.json", "database.sqlite3", "blobs.txt"} <= set(document.files)
    assert {"keys/coordinator_ml_dsa_65_seed", "keys/log_ed25519_seed"} <= set(document.files)
    assert whole.stat().st_mode & 0o077 == 0
    verified = verify_backup(whole, clock=CLOCK)
    assert (verified.chain.chain_valid, verified.chain.unanchored) == (True, 6)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _a_blob(folder: Path) -> Path:
    return next(path for path in sorted((folder / files.BLOBS).rglob("*")) if path.is_file())


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads((folder / manifest.NAME).read_text())
    change(document)
    (folder / manifest.NAME).write_text(json.dumps(document))


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "the dump": (lambda folder: _flip(folder / "database.sqlite3"), "database.sqlite3 has"),
    "the chain": (lambda folder: _flip(folder / "chain.jsonl"), "chain.jsonl has"),
    "a key": (lambda folder: _flip(folder / "keys" / "log_ed25519_seed"), "log_ed25519_seed has"),
    "a stored file": (lambda folder: _flip(_a_blob(folder)), "was changed"),
    "a stored file that is gone": (lambda folder: _a_blob(folder).unlink(), "cannot be read"),
    "a file too many": (lambda folder: (folder / "blobs" / "ab").write_bytes(b"x"), "in no list"),
    "the list of stored files": (lambda folder: (folder / "blobs.txt").write_text(""), "blobs.txt has"),
    "a dump that is gone": (lambda folder: (folder / "database.sqlite3").unlink(), "cannot be read"),
    "the number of blocks": (
        lambda folder: _edit(folder, lambda document: document["chain"].update(blocks=5)),  # type: ignore[attr-defined]
        "has 6 blocks",
    ),
    "a path out of the folder": (
        lambda folder: _edit(folder, lambda document: document["files"].update({"../x": {"bytes": 1, "sha256": "0"}})),  # type: ignore[attr-defined]
        "outside of the backup",
    ),
    "a database of no kind": (
        lambda folder: _edit(folder, lambda document: document["software"].update(database="x")),  # type: ignore[attr-defined]
        "cannot be read",
    ),
    "no manifest": (lambda folder: (folder / manifest.NAME).unlink(), "has no manifest.json"),
    "half a manifest": (lambda folder: (folder / manifest.NAME).write_text("{"), "cannot be read"),
    "a manifest of another version": (lambda folder: _edit(folder, lambda document: document.update(v=2)), "version"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampered(backup: Path, name: str) -> None:
    tamper, said = TAMPERINGS[name]
    tamper(backup)
    with pytest.raises(BackupInvalid, match=said):
        verify_backup(backup, clock=CLOCK)


def test_a_forged_manifest_needs_the_printed_hash(backup: Path) -> None:
    _, sha256 = manifest.read(backup)
    _edit(backup, lambda document: document.update(made_at="2020-01-01T00:00:00.000000Z"))
    verify_backup(backup, clock=CLOCK)
    with pytest.raises(BackupInvalid, match="SHA-256"):
        verify_backup(backup, clock=CLOCK, sha256=sha256)


@pytest.mark.django_db(transaction=True)
def test_one_moment_and_nobody_waits(tmp_path: Path) -> None:
    """While the moment is held somebody else commits, at once; neither the reads nor the dump show it."""
    with database().one_moment():
        before = UsedToken.objects.count()
        writer = threading.Thread(target=_use_a_token)
        writer.start()
        writer.join(timeout=10)
        assert not writer.is_alive()
        assert UsedToken.objects.count() == before
        database().dump(tmp_path / "dump")
    assert UsedToken.objects.count() == before + 1
    with contextlib.closing(sqlite3.connect(tmp_path / "dump")) as dump:
        assert dump.execute("SELECT count(*) FROM platform_usedtoken").fetchone() == (before,)
        assert dump.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def _use_a_token() -> None:
    try:
        UsedToken.objects.create(issuer="test", jti="1", expires_at=CLOCK.now())
    finally:
        connection.close()


@pytest.mark.django_db
def test_every_digest_of_a_row_was_thought_of() -> None:
    """A new column that names a stored file has to be backed up."""
    known = {
        "submission.wire_digest", "submission.update_digest", "maskedmean.update_digest", "modelversion.blob_digest",
        "modelversion.optimizer_state_digest", "traininground.sum_digest", "traininground.opening_digest",
    }  # fmt: skip
    of_scratch = {"aggregationshard.input_digest", "aggregationshard.result_digest"}
    of_a_secret = {"enrolmenttoken.digest"}
    found = {
        f"{model._meta.model_name}.{field.name}"
        for label in ("federation", "ledger", "privacy", "platform")
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.get_fields()
        if field.name.endswith("digest")
    }
    assert found == known | of_scratch | of_a_secret
    assert list(named_files()) == []


@pytest.fixture
def stored(transactional_db: None) -> list[str]:
    """Three stored files that rows name, in the order of their names."""
    digests = sorted(blobs().put(data) for data in (b"one", b"two", b"three"))
    for number, digest in enumerate(digests):
        _ended_round(number, digest)
    return digests


def _ended_round(number: int, digest: str) -> None:
    TrainingRound.objects.create(
        round_id=f"round-{number}", number=number, model_name="m", status="completed", config=b"", config_hash="",
        aggregation_method="FedAvg", protection="paillier", sum_digest=digest, min_orgs=1, deadline=CLOCK.now(),
        finished_at="2020-01-01T00:00:00Z",
    )  # fmt: skip


def test_lost_files_are_named_and_the_rest_is_saved(stored: list[str], tmp_path: Path) -> None:
    _flip(blobs().path(stored[0]))
    blobs().path(stored[1]).unlink()
    made = make_backup(into=tmp_path, clock=CLOCK)
    assert (made.manifest.missing, made.manifest.blobs) == (tuple(stored[:2]), 1)
    verify_backup(made.folder, clock=CLOCK)
    with pytest.raises(SystemExit, match="1"):
        call_command("backup", tmp_path, stdout=StringIO())


def test_the_copies_of_the_backup_before_stand_in(stored: list[str], tmp_path: Path) -> None:
    first = make_backup(into=tmp_path, clock=CLOCK)
    blobs().path(stored[0]).unlink()
    second = make_backup(into=tmp_path, clock=CLOCK)
    assert (second.linked, second.manifest.missing) == (3, ())
    assert _a_blob(second.folder).stat().st_ino == _a_blob(first.folder).stat().st_ino
    _flip(files.blob_path(second.folder, stored[1]))
    third = make_backup(into=tmp_path, clock=CLOCK)
    assert (third.linked, third.manifest.missing) == (2, ()), "a damaged copy is not carried on"
    verify_backup(third.folder, clock=CLOCK)


def test_rotation_counts_complete_backups_only(stored: list[str], tmp_path: Path) -> None:
    folders = [make_backup(into=tmp_path, clock=CLOCK).folder for _ in range(3)]
    assert rotate(into=tmp_path, keep=2) == folders[:1]
    shutil.rmtree(folders[2] / "blobs")  # nothing to link to
    blobs().path(stored[0]).unlink()
    incomplete = make_backup(into=tmp_path, clock=CLOCK).folder
    (tmp_path / "not-a-backup").mkdir()
    (tmp_path / "not-a-backup" / manifest.NAME).write_text("{")
    assert rotate(into=tmp_path, keep=2) == []
    assert rotate(into=tmp_path, keep=1) == folders[1:2]
    assert backups_in(tmp_path) == [folders[2], incomplete, tmp_path / "not-a-backup"]


@pytest.mark.django_db(transaction=True)
def test_it_is_recorded(tmp_path: Path) -> None:
    made = make_backup(into=tmp_path / "backups", clock=CLOCK)
    event = AuditEvent.objects.filter(kind="backup.made").get()
    assert (event.subject, event.data["manifest_sha256"]) == (made.folder.name, made.sha256)
    assert (event.data["blocks"], event.data["missing"], event.data["bytes"]) == (1, 0, made.bytes)
    assert made.bytes == sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file())


def test_updates_that_are_discarded_meanwhile_are_no_loss(
    stored: list[str], tmp_path: Path, env: Callable[..., object]
) -> None:
    blobs().path(stored[0]).unlink()
    assert make_backup(into=tmp_path / "a", clock=CLOCK).manifest.missing == (stored[0],)
    env(update_retention_days=1)  # their time is over: the file is gone, the row that says so not yet written
    found = make_backup(into=tmp_path / "b", clock=CLOCK).manifest
    assert (found.missing, found.removed) == ((), (stored[0],))


def test_killed_in_the_middle_nothing_looks_whole(own: dict[str, str], tmp_path: Path) -> None:
    into = tmp_path / "backups"
    with _stopped_in_the_middle(own, into) as process:
        assert backups_in(into) == []
        assert "another backup is being made" in manage(own, "backup", str(into), code=2).stderr
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
    assert len(list(into.glob(f"{PARTIAL}*"))) == 1
    manage(own, "backup", str(into))
    assert list(into.glob(f"{PARTIAL}*")) == []
    assert len(backups_in(into)) == 1


@contextlib.contextmanager
def _stopped_in_the_middle(environment: dict[str, str], into: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A backup that waits where it wants to read a stored file: a pipe that nobody writes to."""
    held = sorted(path for path in (Path(environment["FL_DATA_DIR"]) / "blobs").rglob("*") if path.is_file())[0]
    aside = held.rename(held.with_suffix(".aside"))
    subprocess.run(["mkfifo", str(held)], check=True)
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), "backup", str(into)],
        env=clean_environment(environment), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: list(into.glob(f"{PARTIAL}*/database.sqlite3")), what="the backup has begun")
        yield process
    finally:
        process.kill()
        process.wait()
        aside.replace(held)


@pytest.mark.parametrize("limit_bytes", [4096, 300_000])
def test_no_room_leaves_nothing(own: dict[str, str], tmp_path: Path, limit_bytes: int) -> None:
    """A disk that takes no more bytes, with a limit of the kernel's in its place: in the chain, in the dump."""
    into = tmp_path / "backups"
    refused = manage(own, "backup", str(into), code=2, limit_bytes=limit_bytes)
    assert "no backup" in refused.stderr
    assert [path.name for path in into.iterdir()] == [".lock"]


def test_the_documented_options_are_there() -> None:
    document = (BASE_DIR / "docs" / "backup.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(--[a-z][a-z0-9-]+)", document))
    offered = {
        option
        for command in ("backup", "restore", "verify_chain", "restore_chain")
        for action in load_command_class(get_commands()[command], command).create_parser("manage.py", command)._actions
        for option in action.option_strings
    }
    assert {"--keep", "--with-keys", "--verify", "--sha256", "--checkpoint", "--genesis", "--replace"} <= named
    assert named <= offered


@pytest.mark.django_db(transaction=True)
def test_a_file_that_a_cache_gave_up_is_asked_for_again(
    stored: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, lost = files.copy, [stored[1]]

    def gone_once(source: Path, target: Path) -> manifest.FileEntry:
        if target.name in lost:
            lost.remove(target.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            raise FileNotFoundError(source)
        return copy(source, target)

    monkeypatch.setattr(files, "copy", gone_once)
    made = make_backup(into=tmp_path, clock=CLOCK)
    assert (lost, made.manifest.missing, made.manifest.blobs) == ([], (), 3)
    verify_backup(made.folder, clock=CLOCK)
