"""What is looked at, one function a part."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

import ledger.selectors
from federation.selectors.overview import open_rounds, stalled_rounds
from flxdr.backup.record import is_old, last_backup
from flxdr.core.clock import format_timestamp
from flxdr.diagnosis.finding import Finding, note, ok, trouble
from flxdr.notifications import kinds
from flxdr.notifications.conditions import survey
from flxdr.platform.api import probes
from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.telemetry.selectors import count_waiting
from flxdr.supervisor import AlreadyRunning, exclusive

NOT_STORED = "0" * 64
_SEE = {
    kinds.CHAIN_BROKEN: "chain-verification-failed",
    kinds.CHAIN_UNVERIFIED: "no-worker-runs",
    kinds.BUDGET_EXHAUSTED: "privacy-budget-exhausted",
    kinds.BUDGET_LOW: "privacy-budget-exhausted",
    kinds.TELEMETRY_STUCK: "telemetry-waits",
    kinds.ROUND_FAILED: "an-organisation-missed-its-round",
    kinds.ORGANIZATION_SILENT: "an-organisation-missed-its-round",
    kinds.PROPOSAL_EXPIRING: "no-quorum",
    kinds.CHECK_FAILED: "how-to-ask",
}
_READY_SEE = {
    "database": "database-locked",
    "broker": "the-queue-is-gone",
    "disk": "the-disk-is-full",
    "worker": "no-worker-runs",
    "chain": "chain-verification-failed",
}


def configuration(now: datetime) -> Iterator[Finding]:
    """What is in force, without secrets."""
    env = settings.FLXDR
    yield ok("settings", f"FL_ENV={env.env}, FL_DATA_DIR={env.data_dir}")
    yield ok(
        "settings",
        f"FL_PRIVACY_EPSILON={env.privacy_epsilon:g}, FL_TRAINING_ROUNDS={env.training_rounds}, "
        f"FL_FEDERATION_TIMEOUT={env.federation_timeout}, FL_MAX_ORG_FAILURE_RATE={env.max_org_failure_rate:g}, "
        f"FL_PROTECTION={env.protection}",
    )
    for message in run_checks():
        if message.level >= ERROR:
            yield trouble("settings", f"{message.id}: {message.msg}", "the-coordinator-does-not-start")


def migrations(now: datetime) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in pending[:5])
        yield trouble("migrations", f"{len(pending)} pending: {names}", "the-coordinator-does-not-start")
    else:
        yield ok("migrations", "none pending")


def readiness(now: datetime) -> Iterator[Finding]:
    """The checks of `/readyz`, with their reasons."""
    for part, reason in probes.reasons().items():
        if reason:
            yield trouble(part, reason, _READY_SEE.get(part, "how-to-ask"))
        else:
            yield ok(part, "ready")


def processes(now: datetime) -> Iterator[Finding]:
    """Whether `manage.py up` runs here; other ways of running the coordinator have no lock to look at."""
    run = settings.FLXDR.data_dir / "run"
    try:
        with exclusive(run):
            yield note("processes", "no `manage.py up` runs on this data folder")
    except AlreadyRunning:
        parts = {path.stem: path.read_text(encoding="ascii").strip() for path in sorted(run.glob("*.pid"))}
        named = ", ".join(f"{name} {pid}" for name, pid in parts.items())
        if {"web", "worker", "beat"} <= set(parts):
            yield ok("processes", f"`manage.py up` runs: {named}")
        else:
            yield trouble("processes", f"a part does not run: there are only {named or 'none'}", "no-worker-runs")


def rounds(now: datetime) -> Iterator[Finding]:
    for each in open_rounds():
        row = each.training_round
        text = f"{row.round_id} ({row.model_name}) {row.status}, {each.answered} of {each.expected} answered"
        if each.missing:
            text += f", until {format_timestamp(row.deadline)} it waits for {', '.join(each.missing)}"
        yield note("rounds", text, "an-organisation-missed-its-round" if each.missing else "")
    stalled = stalled_rounds(now)
    for row in stalled:
        yield trouble("rounds", f"{row.round_id} is to be aggregated, and no worker does it", "no-worker-runs")
    if not stalled:
        yield ok("rounds", "none waits for a worker")


def chain(now: datetime) -> Iterator[Finding]:
    last, head = ledger.selectors.last_pass(), ledger.selectors.head()
    verified = "never verified as a whole" if last is None or last.ended_at is None else (
        f"last verified as a whole at {format_timestamp(last.ended_at)}"
    )  # fmt: skip
    yield ok("chain", f"{head.height + 1} block(s), newest {head.block_hash}, {verified}")


def conditions(now: datetime) -> Iterator[Finding]:
    """What operators are notified of, looked at now and not when the worker last did."""
    for finding in survey(now).findings:
        severity, text = kinds.KINDS[finding.kind].severity, kinds.sentence(finding.kind, finding.data, over=False)
        see = _SEE.get(finding.kind, "")
        is_trouble = severity != kinds.Severity.INFO and see
        yield trouble(finding.kind, text, see) if is_trouble else note(finding.kind, text, see)
    yield ok("telemetry", f"{count_waiting()} event(s) wait to be sent")


def room(now: datetime) -> Iterator[Finding]:
    usage = shutil.disk_usage(settings.FLXDR.data_dir)
    yield ok("disk", f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB free")


def files(now: datetime) -> Iterator[Finding]:
    """Whether the place of the files answers; a folder does, as the disk and the chain show."""
    bucket = settings.FLXDR.blobs_s3_bucket
    if bucket is None:
        return
    try:
        blobs().exists(NOT_STORED)
    except StorageUnavailable as error:
        yield trouble("files", f"bucket {bucket}: {error.detail}", "the-object-store-does-not-answer")
    else:
        yield ok("files", f"bucket {bucket} answers")


def backups(now: datetime) -> Iterator[Finding]:
    last = last_backup()
    if last is None:
        text = "there has been none"
    else:
        text = f"the last one is of {format_timestamp(last.at)} ({last.subject})"
        if last.data.get("missing"):
            yield trouble(
                "backup", f"{last.data['missing']} stored file(s) were missing in it", "a-stored-file-is-lost"
            )
    if is_old(last, now):
        yield (trouble if settings.FLXDR.is_production else note)("backup", text, "the-last-backup-is-old")
    else:
        yield ok("backup", text)
