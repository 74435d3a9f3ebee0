"""`manage.py diagnose` finds each case when it is really there, and names the paragraph that says what to do."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command, get_commands
from django.utils.text import slugify

from federation.services import rounds
from federation.services.reconcile import reconcile
from flxdr.backup.making import make_backup
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.diagnosis import parts
from flxdr.diagnosis.diagnosis import diagnose
from flxdr.env import BASE_DIR, Env
from flxdr.platform.api import probes
from flxdr.platform.configuration import variables_of
from ledger.models import Proposal
from privacy import selectors
from privacy.errors import BudgetExhausted
from tests.federation.closed_rounds import MODEL
from tests.site.backups import manage
from tests.support.federation import SimulatedFederation, SimulatedOrganization
from tests.support.object_store import ObjectServer
from tests.support.processes import free_port
from tests.support.services import postgres_database

OTHER = "edge-normaliser"
DOCUMENT = (BASE_DIR / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def troubles(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    """What a process of its own finds, by the paragraph."""
    done = manage(environment, "diagnose", "--json", code=1)
    return _by_paragraph(json.loads(done.stdout)["findings"])


def _found(now: datetime) -> dict[str, dict[str, str]]:
    """The same, of this process at a moment."""
    return _by_paragraph([asdict(each) | {"see": each.where} for each in diagnose(now)])


def _by_paragraph(findings: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {each["see"].partition("#")[2]: each for each in findings if each["state"] == "trouble"}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated") / "state"
    manage({"FL_DATA_DIR": str(folder)}, "migrate", "-v0")
    return folder


@pytest.fixture
def state(migrated: Path, tmp_path: Path) -> dict[str, str]:
    """Settings of a new coordinator, of this test alone."""
    return {"FL_DATA_DIR": str(shutil.copytree(migrated, tmp_path / "state"))}


def test_a_new_coordinator_has_no_trouble(state: dict[str, str]) -> None:
    """But for the worker, which does not run here."""
    done = manage(state, "diagnose", code=0 if "worker" not in probes.reasons() else 1)
    assert "journal mode wal, nobody holds the write lock" in done.stdout
    assert "migrations: none pending" in done.stdout
    assert "1 block(s), newest" in done.stdout


def test_secrets_are_not_shown(state: dict[str, str]) -> None:
    secrets = {"API_HMAC_KEY": "h" * 40, "SECRET_KEY": "s" * 50, "ROMA_MQ_TOKEN": "t" * 30}
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "diagnose"],
        env={"PATH": "/usr/bin:/bin", **state, **secrets}, cwd=BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "FL_PRIVACY_EPSILON=1" in done.stdout
    assert not any(secret in done.stdout + done.stderr for secret in secrets.values())


@contextmanager
def _writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds SQLite's write lock."""
    code = (
        "import sqlite3, sys; own = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "own.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_process_that_holds_the_write_lock_is_named(state: dict[str, str]) -> None:
    with _writer(Path(state["FL_DATA_DIR"]) / "fl_blockchain.db") as writer:
        found = troubles(state)["database-locked"]
    assert "database is locked for more than 2 s" in found["text"]
    assert f"process {writer.pid} ({sys.executable} -c import sqlite3" in found["text"]


def test_another_journal_mode(state: dict[str, str]) -> None:
    """Every connection of this software asks for WAL, so somebody has to hold a lock that keeps it from that."""
    path = Path(state["FL_DATA_DIR"]) / "fl_blockchain.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        other.execute("BEGIN EXCLUSIVE")
        assert "database-locked" in troubles({**state})


def test_a_session_that_keeps_a_lock_on_postgresql(tmp_path: Path) -> None:
    with postgres_database(tmp_path) as url:
        state = {"FL_DATA_DIR": str(tmp_path / "state"), "DATABASE_URL": url}
        manage(state, "migrate", "-v0")
        with psycopg.connect(url) as holder, psycopg.connect(url) as waiter:
            holder.execute("LOCK TABLE blocks IN EXCLUSIVE MODE")
            pid = holder.info.backend_pid
            waiter.execute("SET lock_timeout = '60s'")
            waiting = _send(waiter, "LOCK TABLE blocks IN EXCLUSIVE MODE")
            found = troubles(state)["database-locked"]
            holder.rollback()
            waiting()
    assert f"waits for a lock of session {pid}" in found["text"]


def _send(connection: psycopg.Connection[Any], statement: str) -> Callable[[], None]:
    """Send a statement without waiting for its end; returns what waits for it."""
    connection.pgconn.send_query(statement.encode())
    while connection.pgconn.flush():
        pass

    def finish() -> None:
        while connection.pgconn.get_result() is not None:
            pass
        connection.close()

    return finish


def test_a_migration_that_is_pending(state: dict[str, str]) -> None:
    with closing(sqlite3.connect(Path(state["FL_DATA_DIR"]) / "fl_blockchain.db", isolation_level=None)) as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'notifications'")
    assert "notifications.0001" in troubles(state)["the-coordinator-does-not-start"]["text"]


def test_a_changed_byte_in_a_block(state: dict[str, str]) -> None:
    with closing(sqlite3.connect(Path(state["FL_DATA_DIR"]) / "fl_blockchain.db", isolation_level=None)) as database:
        database.execute("DROP TRIGGER blocks_append_only")
        database.execute("UPDATE blocks SET header = CAST(replace(CAST(header AS TEXT), 'genesis', 'genesiz') AS BLOB)")
    done = manage(state, "verify_chain", code=1)
    assert "chain INVALID at height 0" in done.stdout
    verify = "from ledger.tasks import verify_whole; verify_whole()"
    manage(state, "shell", "-c", verify)
    assert "block 0 is bad" in troubles(state)["chain-verification-failed"]["text"]


def test_a_database_that_is_no_database(state: dict[str, str]) -> None:
    (Path(state["FL_DATA_DIR"]) / "fl_blockchain.db").write_bytes(b"not a database" * 1000)
    found = json.loads(manage(state, "diagnose", "--json", code=1).stdout)["findings"]
    assert any("file is not a database" in each["text"] for each in found if each["state"] == "trouble")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now() + timedelta(days=1))


@pytest.mark.django_db
def test_an_organisation_that_missed_its_round(clock: ManualClock) -> None:
    federation = SimulatedFederation(clock)
    federation.enrol("alpha", "beta", "gamma")
    rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    waiting = {each.text for each in diagnose(clock.now()) if each.part == "rounds"}
    assert any("it waits for alpha, beta, gamma" in text for text in waiting)
    clock.advance(timedelta(days=1))
    reconcile(clock=clock)
    found = [each for each in diagnose(clock.now()) if each.state == "trouble"]
    failed = next(each for each in found if each.part == "round_failed")
    assert "failed (too_few_submissions)" in failed.text
    assert failed.where == "docs/troubleshooting.md#an-organisation-missed-its-round"


@pytest.mark.django_db
def test_an_exhausted_budget_and_a_larger_one(clock: ManualClock, env: Callable[..., object]) -> None:
    """What was spent stays spent: of the larger total only the difference is there."""
    env(privacy_mode="record", privacy_epsilon=1.0, training_rounds=4)
    SimulatedFederation(clock).enrol("alpha", "beta")
    rounds.start_round(actor="operator", model_name=MODEL, privacy={"epsilon_ppm": 1_000_000}, clock=clock)
    with pytest.raises(BudgetExhausted):
        rounds.start_round(actor="operator", model_name=OTHER, privacy={"epsilon_ppm": 10_000}, clock=clock)
    found = {each.text: each.where for each in diagnose(clock.now()) if each.part == "budget_exhausted"}
    assert set(found.values()) == {"docs/troubleshooting.md#privacy-budget-exhausted"}
    assert any("alpha pays for no further round" in text for text in found)
    env(privacy_epsilon=2.0)  # as after a restart with FL_PRIVACY_EPSILON=2
    assert not [each for each in diagnose(clock.now()) if each.part == "budget_exhausted"]
    rounds.start_round(actor="operator", model_name=OTHER, privacy={"epsilon_ppm": 500_000}, clock=clock)
    remaining = selectors.budget("alpha")["epsilon_remaining"]
    assert 0 < remaining < 1


@pytest.mark.django_db
def test_a_longer_timeout_is_of_later_rounds(clock: ManualClock, env: Callable[..., object]) -> None:
    SimulatedFederation(clock).enrol("alpha", "beta")
    before = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    env(federation_timeout=900)
    after = rounds.start_round(actor="operator", model_name=OTHER, clock=clock)
    before.refresh_from_db()
    assert before.deadline - clock.now() == timedelta(seconds=600)
    assert after.deadline - clock.now() == timedelta(seconds=900)


def test_a_queue_and_a_bucket_that_do_not_answer(state: dict[str, str]) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    bucket = {
        "FL_BLOBS_S3_BUCKET": "models",
        "FL_BLOBS_S3_ENDPOINT": f"http://{nobody}",
        "FL_BLOBS_S3_ACCESS_KEY_ID": "key",
        "FL_BLOBS_S3_SECRET_ACCESS_KEY": "of this test",
    }
    found = troubles({**state, **bucket, "REDIS_URL": f"redis://{nobody}/0"})
    assert found["the-queue-is-gone"]["part"] == "broker"
    assert "bucket models: the store of the files does not answer" in found["the-object-store-does-not-answer"]["text"]


def test_a_bucket_that_answers(bucket: ObjectServer) -> None:
    (found,) = parts.files(SystemClock().now())
    assert (found.state, found.part) == ("ok", "files")


@pytest.mark.django_db
def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=probes.SMALLEST_FREE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = _found(SystemClock().now())
    assert found["the-disk-is-full"]["text"] == "the disk is nearly full"


@pytest.mark.django_db
def test_telemetry_that_waits_and_a_vote_that_is_missing(clock: ManualClock) -> None:
    federation = SimulatedFederation(clock)
    federation.enrol("org-alpha", "org-beta", "org-gamma")
    SimulatedOrganization("org-new", clock, PrivateKey.generate()).register()
    federation.work()
    (proposal,) = Proposal.objects.filter(status="open")
    assert proposal.deadline is not None
    found = _found(proposal.deadline - timedelta(seconds=1))
    assert "no answer came from: org-alpha, org-beta, org-gamma" in found["no-quorum"]["text"]
    assert "attempts so far: 0" in _found(clock.now() + timedelta(hours=1))["telemetry-waits"]["text"]


@pytest.mark.django_db(transaction=True)
def test_the_last_backup(tmp_path: Path, env: Callable[..., object]) -> None:
    clock = SystemClock()

    def said(after: timedelta) -> tuple[str, str]:
        found = next(each for each in diagnose(clock.now() + after) if each.part == "backup")
        return found.state, found.text

    assert said(timedelta(0)) == ("note", "there has been none")
    made = make_backup(into=tmp_path / "backups", clock=clock)
    assert said(timedelta(0))[0] == "ok"
    assert made.folder.name in said(timedelta(0))[1]
    assert said(timedelta(days=3))[0] == "note"
    env(env="production")
    assert said(timedelta(days=3))[0] == "trouble"


@pytest.mark.django_db
def test_a_part_that_cannot_be_looked_at_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flxdr.diagnosis.parts.open_rounds", lambda: 1 / 0)
    out = StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("diagnose", stdout=out)
    assert "trouble rounds: ZeroDivisionError" in out.getvalue()
    assert "backup:" in out.getvalue()


def test_every_paragraph_is_there() -> None:
    code = "".join(path.read_text() for path in (BASE_DIR / "flxdr" / "diagnosis").glob("*.py"))
    named = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', code)) - {"the-coordinator"}
    headings = {slugify(line.lstrip("# ")) for line in DOCUMENT.splitlines() if line.startswith("#")}
    assert {"database-locked", "privacy-budget-exhausted"} <= named
    assert named <= headings, named - headings


def test_every_code_and_command_is_there() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for app in ("flxdr", "federation", "ledger", "privacy")
        for path in (BASE_DIR / app).rglob("*.py")
    )
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", DOCUMENT))
    assert {"budget_exhausted", "blob_damaged", "too_few_submissions", "token_expired"} <= words
    assert {word for word in words if f'"{word}"' not in code} <= set(get_commands()) | {"min_orgs_required"}
    commands = set(
        re.findall(r"(?:manage\.py|`)\s?(backup|restore|restore_chain|verify_chain|diagnose|check)\b", DOCUMENT)
    )
    assert commands == {"backup", "restore_chain", "verify_chain", "diagnose", "check"}
    variables = set(re.findall(r"`((?:FL|JARVIS|PQC|TELEMETRY)_[A-Z0-9_]+)`", DOCUMENT))
    known = {declared.name for declared in variables_of(Env).values()}
    assert variables - known <= {"FL_DATA_DIR"}
