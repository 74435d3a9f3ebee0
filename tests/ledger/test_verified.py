"""What is answered about the stored chain: whole passes on a short one, continued ones on a long one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.models import VerificationPass
from ledger.services import passes, verified
from ledger.services.verification import Outcome, run_pass
from ledger.services.verified import REST, SHORT_SECONDS, Verified, verify_stored
from tests.conftest import SentTasks
from tests.ledger.chains import hash_of
from tests.ledger.members import Consortium, tamper

MEMBERS = ["org-a", "org-b", "org-c"]


@dataclass
class Coordinator:
    """Answers whoever asks; a pass takes `pass_seconds` as it reports it, and no time of the clock."""

    consortium: Consortium
    pass_seconds: float = 0.0

    def ask(self, *, full: bool = False) -> Verified:
        return verify_stored(clock=self.consortium.clock, actor="operator:root", full=full)

    def run_pass(self, **arguments: Any) -> Outcome:
        outcome = run_pass(**arguments)
        stats = {**outcome.report.stats, "seconds": self.pass_seconds}
        return replace(outcome, report=replace(outcome.report, stats=stats))

    def make_due_pass(self) -> VerificationPass | None:
        return passes.make_due_pass(clock=self.consortium.clock)

    def wait(self, seconds: float) -> None:
        self.consortium.clock.advance(timedelta(seconds=seconds))

    def release(self, number: int) -> None:
        self.consortium.release(number, MEMBERS)


@pytest.fixture
def short(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """genesis, three admissions, a release at 4"""
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS)
    coordinator = Coordinator(consortium)
    monkeypatch.setattr(verified, "run_pass", coordinator.run_pass)
    return coordinator


@pytest.fixture
def long(short: Coordinator, sent_tasks: SentTasks, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """The same chain, in a world where three blocks are many."""
    monkeypatch.setattr(verified, "WHOLE_UP_TO", 3)
    return short


@pytest.fixture
def passed(long: Coordinator) -> Coordinator:
    """A long chain after a full pass, and one more release, at 5."""
    long.ask()
    assert long.make_due_pass() is not None
    long.release(2)
    return long


def _damage(height: int) -> None:
    tamper("UPDATE blocks SET parent_model_hash = %s WHERE height = %s", hash_of("evil"), height)


def _repair(height: int) -> None:
    with connection.cursor() as cursor:
        parent = hash_of(f"global {height - 4}")
        cursor.execute("UPDATE blocks SET parent_model_hash = %s WHERE height = %s", [parent, height])


def _first_bad(answer: Verified) -> tuple[int, str]:
    assert answer.chain_valid is False
    bad = answer.report["first_bad"]
    return bad["height"], bad["code"]


class TestShortChain:
    def test_an_answer_is_a_full_pass(self, short: Coordinator) -> None:
        answer = short.ask().as_json()
        assert answer["chain_valid"] is True
        assert (answer["blocks_verified"], answer["verified_from"]) == (5, 0)
        assert answer["full_pass_at"] == answer["verification_timestamp"]
        assert (answer["full_pass"], answer["full_pass_to"]) == ("ended", 4)

    def test_a_long_pass_is_given_again_with_its_own_time(self, short: Coordinator) -> None:
        short.pass_seconds = 2.0
        first = short.ask()
        _damage(4)
        short.wait(REST * 2.0 - 0.1)
        second = short.ask()
        assert (second.at, second.chain_valid, second.full_pass_at) == (first.at, True, first.at)
        short.wait(0.1)
        third = short.ask()
        assert (third.at, third.chain_valid) == (first.at + timedelta(seconds=REST * 2.0), False)

    def test_a_short_pass_is_repeated_for_everybody(self, short: Coordinator) -> None:
        short.pass_seconds = SHORT_SECONDS
        assert short.ask().chain_valid
        _damage(4)
        assert _first_bad(short.ask()) == (4, "column_mismatch")

    def test_a_new_block_ends_the_rest(self, short: Coordinator) -> None:
        short.pass_seconds = 2.0
        assert short.ask().report["blocks_verified"] == 5
        short.release(2)
        assert short.ask().report["blocks_verified"] == 6

    def test_an_operator_ends_the_rest(self, short: Coordinator) -> None:
        short.pass_seconds = 2.0
        short.ask()
        _damage(4)
        assert short.ask(full=True).chain_valid is False

    def test_asking_is_no_event_but_news_and_orders_are(self, short: Coordinator) -> None:
        events = AuditEvent.objects.filter(kind="chain.verified")
        for _ in range(3):
            short.ask()
        assert events.count() == 1
        short.ask(full=True)
        _damage(4)
        short.ask()
        short.ask()
        assert [event.data["valid"] for event in events.order_by("id")] == [True, True, False]
        assert {event.actor for event in events} == {"operator:root"}


class TestLongChain:
    def test_nothing_is_known_before_a_full_pass(
        self, long: Coordinator, sent_tasks: SentTasks, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            answer = long.ask().as_json()
            long.ask()
        assert (answer["chain_valid"], answer["full_pass"], answer["full_pass_at"]) == (None, "requested", None)
        assert (answer["blocks_verified"], answer["last_block_hash"], answer["first_bad"]) == (0, None, None)
        assert answer["covers"] == {"from": 0, "to": None, "signatures_from": 0}
        assert list(answer["warnings"]) == [verified.NOT_KNOWN]
        assert sent_tasks.names == ["ledger.tasks.verify_whole"]
        sent_tasks.run()
        answer = long.ask().as_json()
        assert (answer["chain_valid"], answer["full_pass"], answer["blocks_verified"]) == (True, "ended", 5)
        assert answer["full_pass_at"] is not None

    def test_how_far_a_running_pass_has_come(self, long: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passes, "RENEW_SECONDS", 0.0)
        long.ask()
        seen: list[Verified] = []

        def interrupted(*, progress: Any, **arguments: Any) -> Outcome:
            def after(height: int) -> None:
                progress(height)
                if height == 2:
                    seen.append(long.ask())

            return run_pass(progress=after, **arguments)

        monkeypatch.setattr(passes, "run_pass", interrupted)
        long.make_due_pass()
        (answer,) = seen
        assert (answer.chain_valid, answer.full_pass) == (None, "running")
        assert (answer.report["blocks_verified"], answer.report["covers"]["to"]) == (3, 2)
        assert answer.report["last_block_hash"] == selectors.block_at(2).block_hash

    def test_only_newer_blocks_are_verified(self, passed: Coordinator) -> None:
        began_at = selectors.last_pass().began_at  # type: ignore[union-attr]
        passed.wait(60)
        answer = passed.ask()
        assert answer.chain_valid is True
        assert (answer.verified_from, answer.full_pass_at, answer.full_pass_to) == (5, began_at, 4)
        assert answer.at > answer.full_pass_at  # type: ignore[operator]
        assert answer.report["covers"] == {"from": 0, "to": 5, "signatures_from": 0}
        assert (answer.report["blocks_verified"], answer.report["unanchored"]) == (6, 6)
        assert answer.report["last_block_hash"] == selectors.head().block_hash
        again = passed.ask()
        assert (again.verified_from, again.full_pass_to, again.report["blocks_verified"]) == (6, 4, 6)
        assert (
            again.report["warnings"]
            == answer.report["warnings"]
            == passed.run_pass(clock=passed.consortium.clock).report.warnings
        )

    def test_a_warm_answer_reads_no_blocks(self, passed: Coordinator) -> None:
        passed.ask()
        with CaptureQueriesContext(connection) as queries:
            passed.ask()
        assert len(queries) <= 11
        assert not any("approvals" in query["sql"] or "UPDATE" in query["sql"] for query in queries)

    def test_damage_above_is_found_now(self, passed: Coordinator, sent_tasks: SentTasks) -> None:
        passed.release(3)
        _damage(6)
        answer = passed.ask()
        assert _first_bad(answer) == (6, "column_mismatch")
        assert (answer.full_pass, answer.report["suspect_range"]) == ("requested", (6, 6))
        assert passed.ask().verified_from == 5

    def test_damage_below_is_found_by_the_next_full_pass(self, passed: Coordinator) -> None:
        passed.ask()
        _damage(5)
        answer = passed.ask()
        assert answer.chain_valid is True
        assert answer.verified_from == 6
        assert passed.ask(full=True).full_pass == "requested"
        passed.make_due_pass()
        answer = passed.ask()
        assert _first_bad(answer) == (5, "column_mismatch")
        assert (answer.full_pass, answer.full_pass_to) == ("ended", 4)

    def test_a_failed_full_pass_is_red_until_another_one_succeeds(self, passed: Coordinator) -> None:
        _damage(4)
        passed.ask(full=True)
        passed.make_due_pass()
        _repair(4)
        passed.release(3)
        assert _first_bad(passed.ask()) == (4, "column_mismatch")
        assert _first_bad(passed.ask(full=True)) == (4, "column_mismatch")
        passed.make_due_pass()
        assert passed.ask().chain_valid is True

    def test_a_key_index_that_was_changed_is_found_now(self, passed: Coordinator) -> None:
        passed.ask()
        tamper("DELETE FROM ledger_signerkey WHERE org_id = 'org-b'")
        assert _first_bad(passed.ask())[1] == "signer_index_mismatch"

    def test_a_stored_tree_that_differs_above_is_found_now(self, passed: Coordinator) -> None:
        passed.release(3)
        newest = "(SELECT MAX(position) FROM tree_nodes)"
        tamper(f"UPDATE tree_nodes SET hash = %s WHERE position = {newest}", bytes(32))
        assert _first_bad(passed.ask()) == (6, "tree_mismatch")

    def test_a_rewritten_prefix_is_not_taken_as_verified(self, passed: Coordinator) -> None:
        header = bytes(selectors.block_at(4).header).replace(b'"samples_total":1000', b'"samples_total":1001')
        tamper("UPDATE blocks SET header = %s WHERE height = 4", header)
        answer = passed.ask()
        assert _first_bad(answer) == (4, "remembered_block_replaced")
        assert (answer.report["blocks_verified"], answer.report["suspect_range"]) == (0, (0, 5))
        assert answer.full_pass == "requested"

    def test_a_chain_that_went_back_is_not_taken_as_verified(self, passed: Coordinator) -> None:
        passed.ask()
        tamper("DELETE FROM blocks WHERE height = 5")
        assert _first_bad(passed.ask()) == (5, "remembered_block_missing")

    @pytest.mark.parametrize("change", [{"v": 0}, {"members": None}])
    def test_what_another_version_remembers_is_nothing(self, passed: Coordinator, change: dict[str, Any]) -> None:
        row = VerificationPass.objects.get()
        assert row.memory is not None
        VerificationPass.objects.update(memory={**row.memory, "state": {**row.memory["state"], **change}})
        answer = passed.ask()
        assert (answer.chain_valid, answer.full_pass) == (None, "requested")


class TestFullPass:
    def test_one_worker_makes_it(self, long: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        long.ask()
        others: list[Any] = []

        def meanwhile(**arguments: Any) -> Outcome:
            others.append(long.make_due_pass())
            return run_pass(**arguments)

        monkeypatch.setattr(passes, "run_pass", meanwhile)
        assert long.make_due_pass() is not None
        assert others == [None]
        assert long.make_due_pass() is None

    def test_a_dead_worker_is_replaced(self, long: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passes, "RENEW_SECONDS", 0.0)
        long.ask()
        replacements: list[Any] = []

        def slow(**arguments: Any) -> Outcome:
            monkeypatch.setattr(passes, "run_pass", run_pass)
            long.wait(passes.LEASE.total_seconds())
            replacements.append(long.make_due_pass())
            return run_pass(**arguments)

        monkeypatch.setattr(passes, "run_pass", slow)
        assert long.make_due_pass() is None
        assert replacements[0].valid

    def test_one_that_breaks_off_is_made_again(self, long: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        long.ask()
        with monkeypatch.context() as patch:
            patch.setattr(passes, "run_pass", lambda **_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                long.make_due_pass()
        assert long.ask().full_pass == "requested"
        assert long.make_due_pass() is not None

    def test_one_that_began_earlier_replaces_none(self, short: Coordinator) -> None:
        clock = short.consortium.clock
        head, began_at = passes.Head.read(), clock.now()
        early = run_pass(clock=clock)
        short.wait(1)
        _damage(4)
        assert not short.ask().chain_valid
        kept = passes.keep(
            early,
            head=head,
            began_at=began_at,
            source=passes.Source.COMMAND,
            actor="command",
            told=True,
            clock=clock,
        )
        assert kept is not None
        assert kept.valid is False

    def test_the_beat_makes_one_per_interval(self, short: Coordinator) -> None:
        clock, hour = short.consortium.clock, timedelta(hours=1)
        first = passes.make_overdue_pass(interval=hour, clock=clock)
        assert first is not None
        assert (first.source, first.valid) == ("beat", True)
        short.wait(3599)
        assert passes.make_overdue_pass(interval=hour, clock=clock) is None
        short.wait(1)
        assert passes.make_overdue_pass(interval=hour, clock=clock) is not None
