"""Voters and thresholds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.entries import PolicyEntry
from ledger.chain.quorum import SealRule, seal_rule, threshold
from tests.ledger.chains import POLICY

names = st.sets(st.sampled_from([f"org-{letter}" for letter in "abcdefghij"]))


@pytest.mark.parametrize(
    ("voters", "needed"), [(2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (9, 7), (10, 7), (100, 67)]
)
def test_more_than_two_thirds(voters: int, needed: int) -> None:
    assert threshold(POLICY, voters) == needed


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 20), st.integers(1, 10))
def test_threshold_is_a_majority_that_can_be_reached(voters: int, numerator: int, more: int, minimum: int) -> None:
    policy = PolicyEntry(method="multisig", numerator=numerator, denominator=numerator + more, minimum=minimum)
    needed = threshold(policy, voters)
    assert 1 <= needed <= voters
    assert needed >= min(minimum, voters)
    assert needed * (numerator + more) > voters * numerator


@pytest.mark.parametrize(
    ("members", "training", "voters"),
    [
        (["org-c", "org-a", "org-b"], ["org-b", "org-a"], ("org-a", "org-b")),
        (["org-a", "org-b", "org-c"], ["org-a", "keyless"], ("org-a", "org-b", "org-c")),
        (["org-a", "org-b"], ["keyless"], ("org-a", "org-b")),
        (["org-b", "org-a"], None, ("org-a", "org-b")),
    ],
    ids=["training members", "too few training members", "none of them a member", "governance"],
)
def test_voters(members: list[str], training: list[str] | None, voters: tuple[str, ...]) -> None:
    rule = seal_rule(POLICY, members=members, bootstrap_over=True, training_orgs=training)
    assert (rule.rule, rule.voters) == ("quorum", voters)
    assert rule.threshold == threshold(POLICY, len(voters))


@pytest.mark.parametrize("training", [None, ["org-a"]])
def test_bootstrap_is_the_coordinators(training: list[str] | None) -> None:
    rule = seal_rule(POLICY, members=["org-a"], bootstrap_over=False, training_orgs=training)
    assert rule == SealRule("coordinator-only", (), 0)
    assert rule.is_met([])


def test_operator_method_asks_nobody() -> None:
    policy = PolicyEntry(method="operator", numerator=2, denominator=3, minimum=2)
    rule = seal_rule(policy, members=["org-a", "org-b"], bootstrap_over=True, training_orgs=["org-a"])
    assert rule == SealRule("operator", (), 0)


@given(names.filter(lambda orgs: len(orgs) >= 2), names, names)
def test_met_and_lost_exclude_each_other(voters: set[str], approving: set[str], rejecting: set[str]) -> None:
    rule = SealRule("quorum", tuple(sorted(voters)), threshold(POLICY, len(voters)))
    rejecting = rejecting - approving
    assert not (rule.is_met(approving) and rule.is_lost(rejecting))
    assert rule.is_met(approving) == (len(approving & voters) >= rule.threshold)
    possible = voters - rejecting
    assert rule.is_lost(rejecting) == (not rule.is_met(possible))


def test_an_organization_counts_once_and_strangers_never() -> None:
    rule = SealRule("quorum", ("org-a", "org-b"), 2)
    assert not rule.is_met(["org-a", "org-a", "stranger"])
    assert rule.is_met(["org-a", "org-b"])
