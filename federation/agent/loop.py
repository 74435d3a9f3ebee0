"""The running agent: ask what is due, train and submit, follow the chain, cosign it, check and vote, again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from federation.agent import attestation, chain, training, voting, witness
from federation.agent.client import LONG_POLL_SECONDS
from federation.agent.errors import (
    ChainContradiction,
    CheckFailed,
    HomeInvalid,
    ProtocolMismatch,
)
from federation.agent.masking import round as masked_round
from federation.agent.output import describe
from federation.agent.proposals import Proposal, read_proposal
from federation.agent.records import RecordSource
from federation.agent.review import Review, review
from federation.agent.round_check import read_round
from federation.agent.session import Agent
from federation.agent.state_rows import Decision, PreparedUpdate, Vote
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from flxdr.core.errors import FlxdrError
from ledger.chain.state import ChainState
from models_ml.local_trainer import Progress

IDLE_SECONDS = 2.0
"""Pause after an answer that came at once and gave nothing to do."""
SEALING_SECONDS = 3
"""Patience of a poll after an approval: the sealed block is to be verified and remembered soon."""
SENT_AWAY_AT_MOST = 4
"""Polls without a place to wait, after which one is asked that does not wait: the chain is to be followed as well."""
_FATAL = (ChainContradiction, HomeInvalid, ProtocolMismatch)


class Runner:
    """Does what is due for one organisation.

    Args:
        pause: waits that many seconds.
        once: errors end the run instead of being reported and tried again.
    """

    def __init__(self, agent: Agent, records: RecordSource, *, pause: Callable[[float], None], once: bool) -> None:
        self._agent = agent
        self._records = records
        self._pause = pause
        self._once = once
        self._announced: set[tuple[str, str]] = set()
        self._renounced_for: set[str] = set()
        self._sent_away = 0  # polls in a row without a place to wait

    def run(self) -> None:
        """Work until everything due is done (`once`), or until the process is stopped.

        Raises:
            ChainContradiction, HomeInvalid, ProtocolMismatch: going on would be wrong.
            CheckFailed: the chain does not verify; with `once` also any other failed check.
        """
        self._agent.coordinator.check_protocol()
        while True:
            started = time.monotonic()
            worked = self._guarded(self._step, what="poll")
            if self._once:
                return
            if not worked and time.monotonic() - started < IDLE_SECONDS:
                self._pause(IDLE_SECONDS)

    def _step(self) -> bool:
        """One look at the coordinator; whether there was something to do."""
        worked = self._deliver_unsent()
        due = self._agent.coordinator.poll("federation/round/current", {"wait": self._patience()})
        if due is None:
            self._sent_away += 1
            return worked
        self._sent_away = 0
        state = chain.follow(self._agent, head=due.get("head"))
        self._guarded(partial(self._attend, state), what="checkpoint")
        worked |= self._guarded(partial(self._attest, state), what="statement")
        for offer in self._offers(due.get("round")):
            worked |= self._guarded(partial(self._serve_round, offer), what=f"round {offer.get('round_id')}")
        for document in due.get("proposals") or ():
            worked |= self._guarded(partial(self._decide, document, state), what="proposal")
        return worked

    def _attend(self, state: ChainState) -> bool:
        held = witness.attend(self._agent, state)
        if held is not None:
            self._agent.output.event(
                "cosigned",
                f"Checkpoint of {held.size} blocks: compared with what was verified, held, cosigned",
                size=held.size,
                root_hash=held.root.hex(),
            )
        return held is not None

    def _attest(self, state: ChainState) -> bool:
        """Attest new releases, and send what could not be sent before; only a key on the chain can."""
        agent = self._agent
        if state.keys.key(agent.org_id, agent.key.public.key_id) is None:
            return False
        if agent.config.policy.statements == "auto":
            for block in attestation.due(agent):
                attestation.attest(agent, block, self._records)
        heights = attestation.unsent(agent)
        for height in heights:
            refused = attestation.send(agent, height)
            self._agent.output.event(
                "statement",
                f"Release in block {height}: statement " + ("accepted" if refused is None else f"refused: {refused}"),
                height=height,
                accepted=refused is None,
                detail=refused,
            )
        return bool(heights)

    def _patience(self) -> int:
        """Seconds to wait in the coordinator: short while a block that this agent approved is about to be sealed."""
        if self._once or self._sent_away >= SENT_AWAY_AT_MOST:
            return 0
        known = self._agent.state.chain()
        awaited = known is not None and self._agent.state.approval_at(known.height + 1) is not None
        return SEALING_SECONDS if awaited else LONG_POLL_SECONDS

    def _offers(self, offer: object) -> Iterator[Mapping[str, Any]]:
        """The offered round; where it is of a model that this agent does not train, those of its own models."""
        models = self._agent.config.policy.models
        if isinstance(offer, Mapping) and offer.get("model_name") in models:
            yield offer
        elif isinstance(offer, Mapping):
            name = str(offer.get("model_name"))
            self._announce(f"Round {offer.get('round_id')} trains {name}: not for this agent", "skip", model=name)
            for model in models:
                other = self._agent.coordinator.get("federation/round/current", {"model": model, "wait": 0}).get(
                    "round"
                )
                if isinstance(other, Mapping):
                    yield other

    def _guarded(self, work: Callable[[], bool], *, what: str) -> bool:
        """Do `work`; in a run that goes on, a failure that may pass is reported and costs this attempt only."""
        try:
            return work()
        except _FATAL:
            raise
        except FlxdrError as error:
            if self._once or (isinstance(error, CheckFailed) and what == "poll"):
                raise
            self._announce(f"{what}: {error}", "failure", what=what, error=describe(error))
            return False

    def _deliver_unsent(self) -> bool:
        """What a crash or an outage kept from being sent: the same bytes, signed before."""
        worked = False
        for update in self._agent.state.unfinished_updates():
            worked |= self._guarded(partial(self._submit, update), what=f"round {update.round_id}")
        for vote in self._agent.state.unsent_votes():
            worked |= self._guarded(partial(self._send, vote), what=f"proposal {vote.proposal_id}")
        return worked

    def _send(self, vote: Vote) -> bool:
        voting.send(self._agent, vote)
        return True

    def _serve_round(self, offer: Mapping[str, Any]) -> bool:
        if not offer.get("awaited"):
            return False
        config = read_round(offer, chain_id=self._agent.chain_id, config=self._agent.config)
        if config.step_seconds:
            return self._answer_step(config, str(offer.get("step")))
        kept = self._agent.state.update_for(config.round_id)
        if kept is not None and kept.outcome == "refused":
            return False
        if kept is None:
            with self._training(config) as advance:
                kept = training.prepare(self._agent, config, self._records.load(), advance)
        return self._submit(kept)

    def _answer_step(self, config: RoundConfig, step: str) -> bool:
        """Do what a masked round asks for now."""
        agent = self._agent
        if step == Step.ADVERTISE:
            if agent.state.masking.joined(config.round_id) is None:
                with self._training(config) as advance:
                    masked_round.join(agent, config, self._records.load(), advance)
            masked_round.advertise(agent, config)
        elif step == Step.REVEAL:
            masked_round.reveal(agent, config)
        elif step == Step.SHARES:
            masked_round.share(agent, config)
        elif step == Step.MASKED_INPUT:
            return self._submit(masked_round.mask(agent, config))
        elif step == Step.CONSISTENCY:
            masked_round.confirm(agent, config)
        elif step == Step.UNMASK:
            masked_round.unmask(agent, config)
        elif step == Step.OPEN:
            masked_round.open_sums(agent, config)
        else:
            raise CheckFailed(f"the coordinator is at a step {step!r}", expected=", ".join(Step))
        self._agent.output.event(
            "step", f"Round {config.round_id}: {step} answered", round_id=config.round_id, step=step
        )
        return True

    @contextmanager
    def _training(self, config: RoundConfig) -> Iterator[Progress]:
        self._records.load()
        self._report_bad_lines()
        title = f"Training {config.model_name}, round {config.round_number}"
        self._agent.output.event("training", title, round_id=config.round_id, model=config.model_name)
        with self._agent.output.progress(title) as advance:
            yield advance

    def _submit(self, update: PreparedUpdate) -> bool:
        accepted = training.submit(self._agent, update)
        outcome = self._agent.state.update_for(update.round_id)
        assert outcome is not None
        self._agent.output.event(
            "update",
            f"Round {update.round_id}: update {update.wire_digest[:16]} ({update.samples} samples) "
            + ("accepted" if accepted else f"refused: {outcome.detail}"),
            round_id=update.round_id,
            outcome=outcome.outcome,
            wire_digest=update.wire_digest,
            samples=update.samples,
            detail=outcome.detail,
        )
        return True

    def _decide(self, document: Mapping[str, Any], state: ChainState) -> bool:
        agent, proposal = self._agent, read_proposal(document)
        if not proposal.is_open:
            return False
        standing = agent.state.vote_on(proposal.block_hash)
        if standing is not None:
            return self._send(standing)
        if proposal.block_hash not in self._renounced_for:
            voting.renounce_ended(agent, state)
            self._renounced_for.add(proposal.block_hash)
        found = review(agent, proposal, state, self._records)
        if found.outcome == "approve" and (bound := voting.free_height(agent, proposal, state)) is not None:
            found = Review("ask", bound, found.steps)
        if found.alarm:
            self._announce(
                f"ALARM: proposal {proposal.id}: {found.reason}", "alarm", proposal=proposal.id, reason=found.reason
            )
        if found.outcome in ("approve", "reject"):
            self._vote(proposal, found.outcome, found)
            return True
        waits = "waits for you" if found.outcome == "ask" else "is not voted on"
        self._announce(
            f"Proposal {proposal.id} {waits}: {found.reason}",
            found.outcome,
            proposal=proposal.id,
            reason=found.reason,
            steps=found.steps,
        )
        return False

    def _vote(self, proposal: Proposal, decision: Decision, found: Review) -> None:
        vote = voting.cast(self._agent, proposal, decision, found.reason)
        voting.send(self._agent, vote)
        self._agent.output.event(
            "vote",
            f"Proposal {proposal.id} (block {vote.height}): {decision}. {found.reason}",
            proposal=proposal.id,
            decision=decision,
            height=vote.height,
            block_hash=vote.block_hash,
            reason=found.reason,
            steps=found.steps,
        )

    def _announce(self, text: str, kind: str, **fields: Any) -> None:
        """Say something once, however often it comes up."""
        if (kind, text) not in self._announced:
            self._announced.add((kind, text))
            self._agent.output.event(kind, text, **fields)

    def _report_bad_lines(self) -> None:
        for report in self._records.load().reports:
            if report.malformed:
                first = report.examples[0]
                self._announce(
                    f"{report.source}: {report.malformed} malformed line(s) left out, "
                    f"the first is line {first.number} ({first.reason})",
                    "malformed",
                    **report.as_json(),
                )
