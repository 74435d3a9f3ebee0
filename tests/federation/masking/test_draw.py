"""Bucketed rounds: numbers are committed to, then opened, and the buckets are drawn from all of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from federation.errors import AlreadyAnswered, RosterInvalid
from federation.masking.draw import nonce_of
from federation.masking.roster import Roster
from federation.masking.steps import Step
from federation.selectors import masking
from flxdr.core.clock import ManualClock
from models_ml import registry
from tests.federation.masking.refusals import Refusals
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, random_updates

pytestmark = pytest.mark.django_db
MODEL = "edge-classifier"
NAMES = tuple(f"org-{letter}" for letter in "abcdefghij")


@pytest.fixture
def bucketed(federation: SimulatedFederation, clock: ManualClock) -> MaskedRound:
    """Ten organisations whose round needs three buckets."""
    federation.enrol(*NAMES)
    return MaskedRound.start(
        federation,
        clock,
        random_updates(NAMES, registry.MODELS[MODEL].schema.size),
        model_name=MODEL,
        aggregation_method="RobustAggregator",
        aggregation_params={"robust_method": "median"},
    )


def drawn(roster: Roster) -> list[list[str]]:
    return [[party.org_id for party in group.parties] for group in roster.groups]


def test_numbers_are_shown_when_all_are_there(bucketed: MaskedRound) -> None:
    bucketed.collect(until=Step.REVEAL)
    for name in NAMES[:9]:
        bucketed[name].reveal()
        shown = masking.roster_document(bucketed.training_round.round_id, name)
        assert (shown["nonces"], shown["roster_hash"]) == ({}, None)
    bucketed["org-j"].reveal()
    shown = masking.roster_document(bucketed.training_round.round_id, "org-j")
    assert shown["nonces"] == {name: nonce_of(bucketed[name].seed).hex() for name in NAMES}


def test_a_number_is_the_one_that_was_committed_to(bucketed: MaskedRound, refused: Refusals) -> None:
    bucketed.collect(until=Step.REVEAL)
    with refused(RosterInvalid, "not the one that was committed to"):
        bucketed["org-a"].reveal(bytes(32))
    bucketed["org-a"].reveal()
    assert not bucketed["org-a"].reveal()
    with refused(AlreadyAnswered, "something else before"):
        bucketed["org-a"].reveal(bytes(32))


def test_every_number_moves_the_draw(bucketed: MaskedRound) -> None:
    bucketed.collect(until=Step.SHARES)
    roster = bucketed["org-a"].roster
    assert sorted(len(names) for names in drawn(roster)) == [3, 3, 4]
    other = hashlib.sha256(b"another number").digest()
    draws = {str(drawn(replace(roster, nonces={**roster.nonces, name: other}))) for name in NAMES}
    assert len(draws) > 5
    assert str(drawn(roster)) not in draws or len(draws) == len(NAMES)


def test_who_keeps_its_number_back_is_out(bucketed: MaskedRound) -> None:
    bucketed.absent["org-j"] = Step.REVEAL
    bucketed.collect()
    assert bucketed.refresh().status == "aggregating"
    assert sorted(name for names in drawn(bucketed["org-a"].roster) for name in names) == list(NAMES[:9])


def test_with_fewer_numbers_than_the_buckets_need_the_round_fails(bucketed: MaskedRound) -> None:
    bucketed.absent |= {"org-i": Step.REVEAL, "org-j": Step.REVEAL}
    bucketed.collect()
    assert (bucketed.refresh().status, bucketed.training_round.failure_code) == ("failed", "too_few_submissions")
    assert "8 organizations joined, 9 are needed to mask" in bucketed.training_round.failure_reason


def test_a_number_that_nobody_committed_to_makes_no_roster(bucketed: MaskedRound) -> None:
    bucketed.collect(until=Step.SHARES)
    roster = bucketed["org-a"].roster
    for nonces in ({"org-a": bytes(32)}, {"stranger": bytes(32)}):
        with pytest.raises(RosterInvalid, match="not the one it committed to"):
            Roster.of(roster.config, roster.statements.values(), {**roster.nonces, **nonces})
