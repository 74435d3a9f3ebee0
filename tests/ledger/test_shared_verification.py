"""A pass over a long chain serves everybody who asks for a while, and says when it began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from ledger.chain.verify import Report
from ledger.services import shared_verification
from ledger.services.shared_verification import REST, SHORT_SECONDS, SharedVerification, Verified
from ledger.services.verification import verify_ledger
from tests.ledger.chains import hash_of
from tests.ledger.members import Consortium, tamper

MEMBERS = ["org-a", "org-b", "org-c"]


@dataclass
class Coordinator:
    """A process in which a pass takes `pass_seconds` of a time that stands still otherwise."""

    consortium: Consortium
    pass_seconds: float = 2.0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.shared = SharedVerification(lambda: self.now)

    def run_pass(self, **arguments: Any) -> Report:
        self.now += self.pass_seconds
        return verify_ledger(**arguments)

    def ask(self, *, signatures: int = 100) -> Verified:
        return self.shared.verify(clock=self.consortium.clock, signatures=signatures)


@pytest.fixture
def coordinator(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """genesis, three admissions, a release at 4"""
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS)
    coordinator = Coordinator(consortium)
    monkeypatch.setattr(shared_verification, "verify_ledger", coordinator.run_pass)
    return coordinator


def test_a_long_pass_is_given_again_with_its_own_time(coordinator: Coordinator) -> None:
    first = coordinator.ask()
    coordinator.consortium.clock.advance(timedelta(seconds=10))
    tamper("UPDATE blocks SET model_hash = %s WHERE height = 4", hash_of("evil"))
    coordinator.now += REST * coordinator.pass_seconds - 0.1
    assert coordinator.ask() is first
    coordinator.now += 0.1
    second = coordinator.ask()
    assert second.began_at == first.began_at + timedelta(seconds=10)
    assert (first.report.chain_valid, second.report.chain_valid) == (True, False)


def test_a_short_pass_is_repeated_for_everybody(coordinator: Coordinator) -> None:
    coordinator.pass_seconds = SHORT_SECONDS
    assert coordinator.ask().report.chain_valid
    tamper("UPDATE blocks SET model_hash = %s WHERE height = 4", hash_of("evil"))
    assert not coordinator.ask().report.chain_valid


def test_a_new_block_ends_the_rest(coordinator: Coordinator) -> None:
    assert coordinator.ask().report.blocks_verified == 5
    coordinator.consortium.release(2, MEMBERS)
    assert coordinator.ask().report.blocks_verified == 6


def test_another_depth_is_another_question(coordinator: Coordinator) -> None:
    assert coordinator.ask().report.covers["signatures_from"] == 0
    assert coordinator.ask(signatures=1).report.covers["signatures_from"] == 4
