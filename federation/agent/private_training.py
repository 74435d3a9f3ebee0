"""Training as a round's privacy mechanism asks: charged to the organisation's own account first, then with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from federation.agent.records import Records
from federation.agent.session import Agent
from federation.agent.updates import clip_to_norm, with_noise
from federation.round_config import RoundConfig
from flxdr.core.clock import format_timestamp
from models_ml.codec import Int32
from models_ml.dpsgd import RecordNoise
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.tasks import Basis, LocalTask, LocalUpdate
from privacy.dp.coins import SecretCoins
from privacy.dp.composition import PPM
from privacy.mechanism import Mechanism, SampledGaussian, parse

Tensors = Mapping[str, Int32]


def trained_update(
    agent: Agent,
    config: RoundConfig,
    records: Records,
    *,
    task: LocalTask,
    parent: Tensors,
    basis: Basis,
    local: LocalConfig,
    progress: Progress | None,
) -> LocalUpdate:
    """The update of this organisation: bounded, and with the noise that the round declares.

    Noise on whole updates of masked rounds is left to `masking.round`, which adds it after the weights.

    Nothing is reported of a model under noise: figures on records, held out or not, would tell of them without any.

    Raises:
        PrivacyLimitReached: the organisation's own limit would be exceeded; nothing was drawn.
    """
    mechanism = parse(config.privacy)
    if mechanism is not None:
        agent.state.losses.require_room(config.round_id, mechanism.release, limit=agent.config.privacy)
    if isinstance(mechanism, SampledGaussian):
        return task.train_privately(
            parent,
            records.training,
            local,
            noise=record_noise(mechanism),
            coins=PaidCoins(partial(charge, agent, config.round_id, mechanism)),
            basis=basis,
            progress=progress,
        )
    update = task.train(parent, records.training, local, basis=basis, progress=progress)
    bounded = clip_to_norm(update.delta, config.clip_norm_ppm)
    if mechanism is None:
        return replace(update, delta=bounded)
    charge(agent, config.round_id, mechanism)
    if config.step_seconds:  # noise is added to the integers that are masked
        return LocalUpdate(delta=bounded, samples=update.samples, metrics={})
    return LocalUpdate(delta=with_noise(bounded, mechanism), samples=update.samples, metrics={})


class PaidCoins:
    """Secret randomness that is paid for before any of it is drawn, so that training which never gets so far is free.

    Args:
        pay: called once; where it raises, nothing is drawn.
    """

    def __init__(self, pay: Callable[[], None]) -> None:
        self._pay = pay
        self._coins: SecretCoins | None = None

    def drawn(self, rate_ppm: int, count: int) -> npt.NDArray[np.intp]:
        return self._paid().drawn(rate_ppm, count)

    def noise(self, sigma: float, count: int) -> npt.NDArray[np.int64]:
        return self._paid().noise(sigma, count)

    def _paid(self) -> SecretCoins:
        if self._coins is None:
            self._pay()
            self._coins = SecretCoins()
        return self._coins


def charge(agent: Agent, round_id: str, mechanism: Mechanism) -> None:
    """Write a round's release into the loss ledger, before its noise is drawn.

    Raises:
        PrivacyLimitReached: the organisation's own limit would be exceeded.
    """
    agent.state.losses.reserve(
        round_id, mechanism.release, limit=agent.config.privacy, at=format_timestamp(agent.clock.now())
    )


def record_noise(mechanism: SampledGaussian) -> RecordNoise:
    """The trainer's view of record-level noise."""
    return RecordNoise(
        clip=mechanism.clip_ppm / PPM,
        noise_multiplier=mechanism.noise_multiplier_ppm / PPM,
        sampling_ppm=mechanism.sampling_ppm,
        steps=mechanism.steps,
    )
