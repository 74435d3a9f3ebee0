"""Who may vote on a block, and how many must.

Organisations are counted, never keys. The policy is read from the chain (genesis, and entries that change it), never
from a variable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from ledger.chain.block import Rule
from ledger.chain.entries import PolicyEntry

MULTISIG = "multisig"
OPERATOR = "operator"


class SealRule(msgspec.Struct, frozen=True):
    """What seals a block: the coordinator's signature and `threshold` approvals of distinct `voters`."""

    rule: Rule
    voters: tuple[str, ...]
    threshold: int

    def is_met(self, approving: Iterable[str]) -> bool:
        """Whether the organisations that approved are enough; those that are no voters do not count."""
        return len(set(approving) & set(self.voters)) >= self.threshold

    def is_lost(self, rejecting: Iterable[str]) -> bool:
        """Whether so many refused that the threshold cannot be reached any more."""
        return len(set(rejecting) & set(self.voters)) > len(self.voters) - self.threshold


def threshold(policy: PolicyEntry, voters: int) -> int:
    """More than the policy's fraction of `voters`, at least its minimum, never more than all of them.

    With the default policy (2/3, minimum 2): both of two, all of three, three of four, four of five.
    """
    more_than_fraction = voters * policy.numerator // policy.denominator + 1
    return min(voters, max(more_than_fraction, policy.minimum))


def seal_rule(
    policy: PolicyEntry,
    *,
    members: Collection[str],
    bootstrap_over: bool,
    training_orgs: Sequence[str] | None,
    concerned: str | None = None,
) -> SealRule:
    """The rule for the next block.

    Args:
        members: organisations with a key on the chain.
        bootstrap_over: whether the chain ever had `policy.minimum` members. Until then the coordinator seals alone.
        training_orgs: of a release; None for governance, on which all members vote. A release is put to its training
            organisations that are members, or to all members if those are fewer than the minimum.
        concerned: the organisation whose key a block revokes. It has no vote on that, lost and stolen keys having no
            say in their own end, and the number that must approve stays that of all members where there are so many.
    """
    if policy.method == OPERATOR:
        return SealRule("operator", (), 0)
    if not bootstrap_over:
        return SealRule("coordinator-only", (), 0)
    voters = sorted(set(members) & set(training_orgs)) if training_orgs is not None else sorted(members)
    if len(voters) < policy.minimum:
        voters = sorted(members)
    needed = threshold(policy, len(voters))
    if concerned is not None and len(voters) > policy.minimum:
        voters.remove(concerned)
    return SealRule("quorum", tuple(voters), min(needed, len(voters)))
