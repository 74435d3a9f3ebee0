"""Training of a policy on an organisation's own incidents, in simulation.

The checkpoint that is kept is one of those that take no more from benign hosts than the playbook does, as far as there
are any, and of these the one with the highest return; it replaces the parent only if the lower bound of its gain is
above 0 on episodes that had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.local_trainer import LocalConfig, Progress, update_of
from models_ml.perceptron import parameters_of
from models_ml.response import learner, playbook
from models_ml.response.actions import ACTIONS
from models_ml.response.alerts import HORIZON
from models_ml.response.episodes import Episodes, draw
from models_ml.response.incidents import Incidents
from models_ml.response.judging import Played, Responder, by_playbook, by_policy, gain, play
from models_ml.response.policy import forward, masked_softmax
from models_ml.response.replay import Replay, Transitions

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Parameters = dict[str, Float32]

SWEEPS = 24
"""Times that fresh episodes are played in an epoch."""
LANES = 500
"""Episodes side by side in a sweep: many, as a network that meets an embedding often learns the incident by heart."""
UPDATES = 16
"""Steps of descent after a sweep."""
BATCH_FACTOR = 8
"""Transitions of a step, per record in a batch of the round's configuration; `MOST_DRAWN` at most."""
MOST_DRAWN = 512
RATE_FACTOR = 0.1
"""Adam's step, per learning rate of the round's configuration, which is meant for plain descent."""
FINAL_SHARE = 0.1
"""Of that step at the end of training; it falls evenly."""
MEMORY = 20_000
BEHAVIOUR = (0.6, 0.25, 0.15)
"""Shares of the episodes that are played by the policy's own chances, by the playbook, and by chance alone."""
EXPLORATION = (0.05, 0.2, 1.0)
"""Chance of any allowed action instead, in each of these."""
CHECKPOINTS = 3
"""Checkpoints that are judged in an epoch."""
JUDGED, CONFIRMED = 2000, 4000
"""Episodes to choose a checkpoint by, and to confirm that it is better than the parent."""


@dataclass(frozen=True)
class Trained:
    """What training changed (zero if nothing was proven better), and how the result and the playbook fare.

    Attributes:
        policy, playbook: both on the same episodes, which had no part in choosing the checkpoint.
    """

    delta: dict[str, Int32]
    policy: Played
    playbook: Played


def train(
    parent: Mapping[str, Int32],
    bank: Incidents,
    config: LocalConfig,
    *,
    frozen: frozenset[str] = frozenset(),
    progress: Progress | None = None,
) -> Trained:
    """Train from `parent` on episodes drawn from `bank`.

    Args:
        frozen: tensors that stay as they are.

    Raises:
        ValueError: the bank is empty or has incidents without a truth.
        OutOfRange: training diverged to values that are not finite.
    """
    start = parameters_of(parent)
    parameters, target = ({name: array.copy() for name, array in start.items()} for _ in range(2))
    rng = np.random.Generator(np.random.PCG64((config.seed, 0)))
    optimiser = learner.Adam(parameters, rate=RATE_FACTOR * config.learning_rate, mu=config.proximal_mu)
    replay = Replay(MEMORY)
    choice = _Choice(bank, start, config.seed)
    sweeps = config.epochs * SWEEPS
    for sweep in range(sweeps):
        replay.add(_explore(draw(bank, LANES, rng), parameters, rng))
        share = 1 - (1 - FINAL_SHARE) * sweep / sweeps
        for _ in range(UPDATES):
            batch = replay.sample(min(MOST_DRAWN, BATCH_FACTOR * config.batch_size), rng)
            *_, gradient = learner.losses(parameters, batch, learner.targets(target, batch))
            still = {name: np.zeros_like(slope) if name in frozen else slope for name, slope in gradient.items()}
            optimiser.descend(still, share)
            learner.follow(target, parameters)
        if (sweep + 1) % (SWEEPS // CHECKPOINTS) == 0:
            choice.consider(target)
        if progress is not None:
            progress(sweep + 1, sweeps)
    return choice.confirmed()


class _Choice:
    """The best checkpoint so far."""

    def __init__(self, bank: Incidents, start: Parameters, seed: int) -> None:
        self._bank, self._start, self._seed = bank, start, seed
        self._limit = self._play(by_playbook, JUDGED, 1).disruptive_per_benign
        self._kept: Parameters = start
        self._rank = self._rank_of(start)

    def consider(self, parameters: Parameters) -> None:
        """Keep a copy if it is better than what is kept."""
        rank = self._rank_of(parameters)
        if rank > self._rank:
            self._kept = {name: array.copy() for name, array in parameters.items()}
            self._rank = rank

    def confirmed(self) -> Trained:
        """The kept checkpoint, or the parent where the gain over it is not proven on fresh episodes."""
        parent = self._play(by_policy(self._start), CONFIRMED, 2)
        playbook = self._play(by_playbook, CONFIRMED, 2)
        kept = self._play(by_policy(self._kept), CONFIRMED, 2)
        tamer = parent.disruptive_per_benign > playbook.disruptive_per_benign >= kept.disruptive_per_benign
        if gain(kept, parent)[1] <= 0 and not tamer:
            return Trained(update_of(self._start, self._start), parent, playbook)
        return Trained(update_of(self._kept, self._start), kept, playbook)

    def _rank_of(self, parameters: Parameters) -> tuple[bool, float]:
        played = self._play(by_policy(parameters), JUDGED, 1)
        return played.disruptive_per_benign <= self._limit, float(played.returns.mean())

    def _play(self, responder: Responder, count: int, part: int) -> Played:
        return play(self._bank, responder, count=count, seed=3 * self._seed + part)


def _explore(episodes: Episodes, parameters: Parameters, rng: np.random.Generator) -> Transitions:
    """Play episodes to their ends, each in one of the ways of `BEHAVIOUR`."""
    way = rng.choice(len(BEHAVIOUR), len(episodes), p=BEHAVIOUR)[:, None]
    exploring = np.array(EXPLORATION)[way]
    steps: list[Transitions] = []
    states, allowed = episodes.observe(), episodes.allowed()
    for _ in range(HORIZON):
        running = ~episodes.done
        own = masked_softmax(forward(parameters, states).logits, allowed)
        written = playbook.choose(episodes.alerts, allowed)[:, None] == np.arange(len(ACTIONS))
        chances = (1 - exploring) * np.where(way == 0, own, written)
        actions = _drawn(chances + exploring * allowed / allowed.sum(axis=1, keepdims=True), rng)
        rewards = episodes.step(actions)
        after, free = episodes.observe(), episodes.allowed()
        seen = Transitions(states, allowed, actions, rewards.astype(np.float32), after, free, episodes.done)
        steps.append(seen.select(running))
        states, allowed = after, free
    return _joined(steps)


def _drawn(chances: npt.NDArray[np.floating], rng: np.random.Generator) -> Int64:
    """One action of every row, by its chances."""
    reached = np.cumsum(chances, axis=1)
    return np.asarray((reached > rng.random((len(chances), 1)) * reached[:, -1:]).argmax(axis=1))


def _joined(parts: list[Transitions]) -> Transitions:
    return Transitions(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
