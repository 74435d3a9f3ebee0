"""What the agent checks of a proposed block before it signs: numbered steps, each of which says what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from federation.agent.entry_review import OwnKeyInDanger, check_entry, check_own_keys, is_further_own_key
from federation.agent.errors import CheckFailed
from federation.agent.proposals import Proposal
from federation.agent.records import RecordSource
from federation.agent.release_review import check_release
from federation.agent.session import Agent
from flxdr.core.clock import parse_timestamp
from ledger.chain.block import Header
from ledger.chain.checks import CLOCK_TOLERANCE, check_extension
from ledger.chain.failures import BlockInvalid
from ledger.chain.quorum import SealRule
from ledger.chain.state import ChainState

Outcome = Literal["approve", "reject", "ask", "skip"]


@dataclass
class Review:
    """The result: what to do, why, and the steps that led there.

    `ask`: nothing speaks against it and a person decides, by the policy of agent.toml or because a step could not be
    made here. `skip`: there is nothing for this organisation to decide. `alarm`: somebody goes after its keys.
    """

    outcome: Outcome
    reason: str
    steps: list[str] = field(default_factory=list)
    alarm: bool = False


def review(agent: Agent, proposal: Proposal, chain: ChainState, records: RecordSource) -> Review:
    """Check a proposed block against the verified chain, this organisation's own part in it, and its own records.

    1. The header is canonical and extends the verified head (height, links, certificate, lineage, voters, threshold).
    2. Its time is not in the future.
    3. This organisation is a voter, with its key on the chain.
    4. A release: see `check_release`. A governance entry: see `check_own_keys` and `check_entry`.

    The policy is applied at the end; `reject` comes from failed checks only.

    Raises:
        Unreachable, Refused: what is to be checked cannot be fetched now; nothing is decided.
    """
    steps: list[str] = []
    try:
        header = proposal.parsed()
        if header.height != chain.height + 1 and header.chain_id == chain.chain_id:
            return Review("skip", f"it is for height {header.height}, the chain ends at {chain.height}", steps)
        rule = check_extension(chain, header).rule
        _check_time(agent, header)
        steps.append(f"1-2. Header extends block {chain.height} under the rule {rule.rule}.")
        action = header.governance.actions[0] if header.governance.actions else None
        if action is not None:
            check_own_keys(agent, action)
        if not _is_voter(agent, rule, chain):
            return Review("skip", "this organisation has no vote on it", steps)
        steps.append(f"3. This organisation votes: {rule.threshold} of {len(rule.voters)} must approve.")
        alarm = False
        if action is not None:
            holds, otherwise = check_entry(agent, action, steps)
            alarm = is_further_own_key(agent, action)
        else:
            complete = check_release(agent, header, records, steps)
            holds = complete and agent.config.policy.releases == "auto"
            otherwise = "releases = manual" if complete else steps[-1]
        return Review("approve", "every check holds", steps) if holds else Review("ask", otherwise, steps, alarm)
    except OwnKeyInDanger as danger:
        has_vote = _is_voter(agent, rule, chain)
        return Review("reject" if has_vote else "skip", danger.detail, steps, alarm=True)
    except (CheckFailed, BlockInvalid) as error:
        expected = f" (expected {error.expected})" if error.expected else ""
        return Review("reject", f"{error.detail}{expected}", steps)


def _check_time(agent: Agent, header: Header) -> None:
    if parse_timestamp(header.timestamp) > agent.clock.now() + CLOCK_TOLERANCE:
        raise CheckFailed(f"the block's time {header.timestamp} is in the future")


def _is_voter(agent: Agent, rule: SealRule, chain: ChainState) -> bool:
    return agent.org_id in rule.voters and chain.keys.key(agent.org_id, agent.key.public.key_id) is not None
