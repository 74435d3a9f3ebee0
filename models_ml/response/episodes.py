"""Simulated incidents, many side by side: columns of state, one step for all.

All chance of an episode is drawn when it begins, so two ways of responding can be compared on the same incidents with
the same luck, and a step is a function of what was drawn and done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models_ml.families import BENIGN, FAMILIES, UNLABELLED
from models_ml.response import masks
from models_ml.response.actions import ACTIONS, CLOSE_BENIGN, COLLECT_EVIDENCE, ESCALATE, MONITOR
from models_ml.response.alerts import HORIZON, Alerts, from_log_odds, log_odds, observe
from models_ml.response.incidents import Incidents
from models_ml.response.world import (
    BENIGN_SHARE,
    CONTAINS,
    CROWN_JEWEL_FACTOR,
    CROWN_JEWEL_SHARE,
    DAMAGE,
    DAMAGE_LEFT,
    DISRUPTION,
    DISRUPTION_OF_ATTACKED,
    EFFORT,
    EMBEDDING_NOISE,
    EVIDENCE,
    NOVEL_NOISE,
    NOVEL_SHARE,
    NOVEL_SIGNAL,
    OPEN_COST,
    PERSON_SOLVES,
    SCORE_NOISE,
    TRUST,
)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(eq=False)
class Episodes:
    """Episodes side by side, (n,) each; `step` changes them.

    Attributes:
        truth: family of what is really going on; nobody who responds sees it.
        alerts: what is seen, with the actions so far.
        embedding: (n, EMBEDDING).
        evidence: log-odds that collected evidence would add.
        works: (n, actions), whether an action would contain the attack.
        solved_at: (n, HORIZON), whether a responder would end it in that step.
        done: over.
        disrupted: disruptive actions so far.
    """

    truth: Int64
    alerts: Alerts
    embedding: Float32
    evidence: Float64
    works: Bools
    solved_at: Bools
    done: Bools
    disrupted: Int64

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def stakes(self) -> Float64:
        """Factor on damage and disruption."""
        return np.where(self.alerts.crown_jewel, CROWN_JEWEL_FACTOR, 1.0)

    def observe(self) -> Float32:
        """Inputs of a policy, (n, STATE)."""
        return observe(self.embedding, self.alerts)

    def allowed(self) -> Bools:
        """What may be done next, (n, actions)."""
        return masks.allowed(self.alerts)

    def step(self, actions: Int64) -> Float64:
        """Take one action in every episode that is not over; what a mask forbids becomes `monitor`.

        Returns:
            Rewards (n,), in hours of an analyst, none above 0; 0 where the episode was over before.
        """
        rows, number = np.arange(len(self)), self.alerts.taken.sum(axis=1)
        running = ~self.done
        actions = np.where(self.allowed()[rows, actions], actions, MONITOR)
        attack = self.truth != BENIGN
        escalated = self.alerts.taken[:, ESCALATE] > 0
        number = np.minimum(number, HORIZON - 1)

        suffered = DISRUPTION[actions] * np.where(attack, DISRUPTION_OF_ATTACKED, 1.0) * self.stakes
        closed = actions == CLOSE_BENIGN
        ended = closed | self.works[rows, actions] | (escalated & self.solved_at[rows, number])
        last = number == HORIZON - 1
        going_on = np.where(closed | (last & ~ended), DAMAGE_LEFT[self.truth, number], DAMAGE[self.truth, number])
        damage = np.where(ended & ~closed, 0.0, going_on) * self.stakes
        rewards = -(EFFORT[actions] + suffered + damage + np.where(ended, 0.0, OPEN_COST))

        self._record(np.where(running, actions, -1))
        self.done = self.done | ended | last
        return np.asarray(np.where(running, rewards, 0.0))

    def _record(self, actions: Int64) -> None:
        """Remember actions (-1: none) and let evidence sharpen the score."""
        sharper = np.where(actions == COLLECT_EVIDENCE, log_odds(self.alerts.score) + self.evidence, 0.0)
        score = np.where(actions == COLLECT_EVIDENCE, from_log_odds(sharper), self.alerts.score)
        self.disrupted = self.disrupted + ((actions >= 0) & (DISRUPTION[actions] > 0))
        taken = self.alerts.taken + (actions[:, None] == np.arange(len(ACTIONS)))
        self.alerts = replace(self.alerts, score=score, taken=taken)


def draw(bank: Incidents, count: int, rng: np.random.Generator) -> Episodes:
    """`count` episodes on incidents of a bank, attacks and benign ones as `BENIGN_SHARE` says.

    Raises:
        ValueError: the bank is empty or has incidents without a truth.
    """
    if not len(bank) or (bank.truth == UNLABELLED).any():
        raise ValueError("episodes need incidents of which it is known what they were")
    picked = bank.select(rng.choice(len(bank), count, p=_weights(bank.truth)))
    novel = rng.random(count) < NOVEL_SHARE
    anything = np.where(rng.random(count) < BENIGN_SHARE, BENIGN, rng.integers(BENIGN + 1, len(FAMILIES), count))
    truth = np.where(novel, anything, picked.truth)
    attack = truth != BENIGN
    noisy = TRUST * log_odds(picked.score) + SCORE_NOISE * rng.standard_normal(count)
    vague = np.where(attack, NOVEL_SIGNAL, -NOVEL_SIGNAL) + NOVEL_NOISE * rng.standard_normal(count)
    score = from_log_odds(np.where(novel, vague, noisy))
    guessed = rng.integers(BENIGN + 1, len(FAMILIES), count)
    stranger = bank.embedding[rng.integers(len(bank), size=count)]
    embedding = np.where(novel[:, None], stranger, picked.embedding)
    size = np.sqrt(np.square(embedding).mean(axis=1, keepdims=True))
    blur = EMBEDDING_NOISE * size * rng.standard_normal(embedding.shape, dtype=np.float32)
    alerts = replace(
        picked.alerts(),
        score=score,
        family=np.where(novel, guessed, picked.family),
        crown_jewel=rng.random(count) < CROWN_JEWEL_SHARE,
    )
    return Episodes(
        truth=truth,
        alerts=alerts,
        embedding=embedding + blur,
        evidence=np.where(attack, 1, -1) * EVIDENCE**2 / 2 + EVIDENCE * rng.standard_normal(count),
        works=rng.random((count, len(ACTIONS))) < CONTAINS[truth],
        solved_at=rng.random((count, HORIZON)) < PERSON_SOLVES,
        done=np.zeros(count, dtype=np.bool_),
        disrupted=np.zeros(count, dtype=np.int64),
    )


def _weights(truth: Int64) -> Float64:
    """How likely each incident is drawn: benign ones by `BENIGN_SHARE`, the rest evenly among the families."""
    counts = np.bincount(truth, minlength=len(FAMILIES)).astype(np.float64)
    attacks = np.delete(np.arange(len(FAMILIES)), BENIGN)
    present = attacks[counts[attacks] > 0]
    share = np.zeros(len(FAMILIES))
    if len(present):
        share[present] = (1 - BENIGN_SHARE if counts[BENIGN] else 1.0) / len(present)
    if counts[BENIGN]:
        share[BENIGN] = BENIGN_SHARE if len(present) else 1.0
    weights = share[truth] / counts[truth]
    return np.asarray(weights / weights.sum())
