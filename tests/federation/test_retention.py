"""Updates are discarded when they are old enough, and nothing else is."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from federation.models import ModelVersion, Submission, TrainingRound
from federation.selectors.stored_files import unnamed_files
from federation.services import rounds
from federation.services.retention import discard_unnamed, discard_updates
from federation.tasks import discard_updates as task
from flxdr.core.clock import ManualClock
from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.store import BlobStore
from tests.federation.closed_rounds import MODEL
from tests.federation.test_recomputation import recomputed, released
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


def files(training_round: TrainingRound) -> list[bool]:
    return [blobs().exists(submission.update_digest) for submission in training_round.submissions.all()]


def test_old_updates_go_and_their_release_says_so(federation: SimulatedFederation, clock: ManualClock) -> None:
    first = released(federation, clock)
    clock.advance(timedelta(days=10))
    second = released(federation, clock)
    clock.advance(timedelta(days=25))
    assert discard_updates(days=40, clock=clock) == []
    assert discard_updates(days=30, clock=clock) == [first.round_id]
    assert discard_updates(days=30, clock=clock) == []
    assert (any(files(first)), all(files(second))) == (False, True)
    report = recomputed()
    assert (report.holds, report.matched, len(report.not_recomputable)) == (True, 1, 1)
    assert Submission.objects.filter(training_round=first).count() == 5
    assert blobs().exists(ModelVersion.objects.get(training_round=first).blob_digest)
    event = AuditEvent.objects.filter(kind="round.updates_discarded").get()
    assert (event.subject, event.data["files"]) == (first.round_id, 5)


def test_by_default_they_stay_for_ever(federation: SimulatedFederation, clock: ManualClock, env: Any) -> None:
    only = released(federation, clock)
    clock.advance(timedelta(days=10_000))
    assert discard_updates(days=0, clock=clock) == []
    task()
    assert all(files(only))
    env(update_retention_days=1)
    for submission in only.submissions.all():
        os.utime(blobs().path(submission.update_digest), (0, 0))
    TrainingRound.objects.update(finished_at="2000-01-01T00:00:00Z")
    task()
    assert not any(files(only))


def test_what_something_else_holds_stays(federation: SimulatedFederation, clock: ManualClock) -> None:
    first = released(federation, clock)
    clock.advance(timedelta(days=40))
    second = released(federation, clock)
    kept, model = list(first.submissions.all())[:2]
    Submission.objects.filter(pk=second.submissions.all()[0].pk).update(wire_digest=kept.wire_digest)
    ModelVersion.objects.filter(training_round=second).update(optimizer_state_digest=model.update_digest)
    discard_updates(days=30, clock=clock)
    assert files(first) == [True, True, False, False, False]


def test_what_is_stored_again_meanwhile_stays(federation: SimulatedFederation, clock: ManualClock) -> None:
    only = released(federation, clock)
    clock.advance(timedelta(days=40))
    now = clock.now().timestamp()
    again = only.submissions.all()[0]
    os.utime(blobs().path(again.update_digest), (now, now))
    assert discard_updates(days=30, clock=clock) == []
    assert files(only) == [True, False, False, False, False]
    clock.advance(timedelta(days=31))
    assert discard_updates(days=30, clock=clock) == [only.round_id]
    assert not any(files(only))


def test_a_kill_between_taking_and_removing_keeps_no_update(
    federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    only = released(federation, clock)
    clock.advance(timedelta(days=40))

    def die(_: Path, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            discard_updates(days=30, clock=clock)
    assert len(list((data_dir / "blobs").glob("incoming/discarded-*"))) == 1
    assert discard_updates(days=30, clock=clock) == [only.round_id]
    assert not list((data_dir / "blobs").glob("incoming/discarded-*"))
    assert not any(files(only))


def test_an_open_round_loses_nothing(federation: SimulatedFederation, clock: ManualClock) -> None:
    federation.enrol(*"abcde")
    rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    TrainingRound.objects.update(finished_at=clock.now() - timedelta(days=100))
    assert discard_updates(days=1, clock=clock) == []


class TestUnnamed:
    """Files of a process that was killed before it wrote the row."""

    def left_over(self, clock: ManualClock, age: timedelta) -> str:
        digest = blobs().put(f"left over {age}".encode())
        moment = (clock.now() - age).timestamp()
        os.utime(blobs().path(digest), (moment, moment))
        return digest

    def test_only_files_without_a_row_go(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        only = released(federation, clock)
        named = sorted(blobs().digests())
        for digest in named:
            os.utime(blobs().path(digest), (0, 0))
        old, young = self.left_over(clock, timedelta(hours=25)), self.left_over(clock, timedelta(hours=23))
        assert list(unnamed_files()) == sorted([old, young])
        assert discard_unnamed(hours=24, actor="command", clock=clock) == 1
        assert list(blobs().digests()) == sorted([*named, young])
        assert all(files(only))
        assert recomputed().matched == 1
        event = AuditEvent.objects.filter(kind="storage.unnamed_discarded").get()
        assert (event.actor, event.data) == ("command", {"files": 1, "hours": 24})

    def test_a_run_that_breaks_off_says_what_it_removed(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for age in (30, 31, 32):
            self.left_over(clock, timedelta(hours=age))
        first, second, third = sorted(blobs().digests())
        discard = type(blobs()).discard

        def breaking(store: BlobStore, digest: str, *, older_than: datetime) -> bool:
            if digest == third:
                raise StorageUnavailable("no answer")
            return discard(store, digest, older_than=older_than)

        monkeypatch.setattr(type(blobs()), "discard", breaking)
        with pytest.raises(StorageUnavailable):
            discard_unnamed(hours=24, actor="command", clock=clock)
        assert [blobs().exists(each) for each in (first, second, third)] == [False, False, True]
        assert AuditEvent.objects.filter(kind="storage.unnamed_discarded").get().data["files"] == 2

    def test_nothing_to_remove_is_no_event(self, clock: ManualClock) -> None:
        assert discard_unnamed(hours=24, actor="command", clock=clock) == 0
        assert not AuditEvent.objects.filter(kind="storage.unnamed_discarded").exists()

    def test_files_of_discarded_rounds_that_came_back_are_named(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        released(federation, clock)
        TrainingRound.objects.update(updates_discarded_at=clock.now())
        assert list(unnamed_files()) == []

    def test_the_command_only_counts_unless_it_is_told_to_remove(self, capsys: pytest.CaptureFixture[str]) -> None:
        digest = blobs().put(b"left over")
        os.utime(blobs().path(digest), (0, 0))
        call_command("discard_unnamed")
        assert "1 files that no row names" in capsys.readouterr().out
        assert blobs().exists(digest)
        call_command("discard_unnamed", "--yes")
        assert "1 files that no row names are removed" in capsys.readouterr().out
        assert not blobs().exists(digest)
        with pytest.raises(CommandError, match="at least 1"):
            call_command("discard_unnamed", "--hours", "0")
