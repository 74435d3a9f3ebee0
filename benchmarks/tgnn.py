"""The temporal graph network: an epoch against PyTorch, privacy against none, and what inputs and scores cost.

CPU seconds of one thread. The peer is the same network on the same batches with the same optimiser; it is measured
where PyTorch is installed (`pip install torch==2.13.0`), which nothing in the product needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from statistics import median

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.measure import Row, versions
from benchmarks.torch_tgnn import TorchNetwork
from models_ml.dpsgd import PPM, RecordNoise
from models_ml.edge_stream import EdgeStream, concat
from models_ml.local_trainer import LocalConfig, family_weights
from models_ml.registry import MODELS, TGNN
from models_ml.synthetic.generator import generate
from models_ml.tgnn.inputs import Inputs, inputs_of
from models_ml.tgnn.private_training import train_privately
from models_ml.tgnn.sampling import batch_of
from models_ml.tgnn.sessions import Sessions, sessions_of
from models_ml.tgnn.training import train
from privacy.dp.coins import SecretCoins

EDGES = 100_000
BATCH = 128
REPEATS = 3
MOST_OF_TORCH = 0.65
MOST_OF_PLAIN = 1.6
FEATURE_SECONDS = 4.0
PRIVATE_STEPS = 20


def rows() -> list[Row]:
    """`tgnn.epoch`, `tgnn.dp_epoch` and `tgnn.features`."""
    stream = flows()
    with threadpool_limits(1):
        inputs = inputs_of(stream)
        sessions = sessions_of(stream)
        plain = _cpu_ms(lambda: _epoch(inputs, stream.family))
        scale = EDGES / int(sessions.count.sum())
        private = _cpu_ms(lambda: _private_epoch(sessions)) * scale
        features = _cpu_ms(lambda: inputs_of(stream))
        torch_row = _against_torch(inputs, stream.family, plain)
    note = f"{EDGES} generated edges, batches of {BATCH}, CPU ms of one thread; " + versions("numpy")
    of_sessions = (
        f"{len(sessions)} sessions in {PRIVATE_STEPS} steps, per {EDGES} of their edges; peer: the plain epoch; " + note
    )
    return [
        replace(torch_row, note=f"{torch_row.note}; {note}"),
        Row(
            "tgnn.dp_epoch",
            round(private, 1),
            round(plain, 1),
            round(plain / private, 2),
            "ms",
            None,
            round(1 / MOST_OF_PLAIN, 3),
            of_sessions,
        ),
        Row("tgnn.features", round(features, 1), None, None, "ms", FEATURE_SECONDS * 1000, None, note),
    ]


def flows(count: int = EDGES) -> EdgeStream:
    """The first `count` flows of the generated organisations, in order of time."""
    partitions = generate(seed=0, records=count // 4).values()
    stream = concat([half for part in partitions for half in (part.train, part.test)]).in_time_order()
    return stream.select(slice(None, count))


def _epoch(inputs: Inputs, labels: npt.NDArray[np.int8]) -> None:
    train(MODELS[TGNN].initial(), inputs, labels, LocalConfig(epochs=1, batch_size=BATCH))


def _private_epoch(sessions: Sessions) -> None:
    noise = RecordNoise(clip=1.0, noise_multiplier=1.0, sampling_ppm=PPM // PRIVATE_STEPS, steps=PRIVATE_STEPS)
    train_privately(MODELS[TGNN].initial(), sessions, LocalConfig(), noise=noise, coins=SecretCoins())


def _against_torch(inputs: Inputs, labels: npt.NDArray[np.int8], plain: float) -> Row:
    required = round(1 / MOST_OF_TORCH, 2)
    if find_spec("torch") is None:
        return Row("tgnn.epoch", round(plain, 1), None, None, "ms", None, None, "no torch: nothing to compare with")
    network = TorchNetwork({name: array / 2.0**24 for name, array in MODELS[TGNN].initial().items()})
    peer = _cpu_ms(lambda: _torch_epoch(network, inputs, labels))
    note = f"peer: the same network, batches and optimiser in PyTorch; {versions('torch')}"
    return Row("tgnn.epoch", round(plain, 1), round(peer, 1), round(peer / plain, 2), "ms", None, required, note)


def _torch_epoch(network: TorchNetwork, inputs: Inputs, labels: npt.NDArray[np.int8]) -> None:
    config = LocalConfig(epochs=1, batch_size=BATCH)
    rng = np.random.Generator(np.random.PCG64(config.seed))
    weights = family_weights(labels)
    order = rng.permutation(len(labels))
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        batch = batch_of(inputs, chosen, rng)
        network.step(batch, labels[chosen], weights[labels[chosen]] / np.float32(len(chosen)), config)


def _cpu_ms(run: Callable[[], object]) -> float:
    """Median CPU milliseconds, after one unmeasured turn."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return median(times[1:]) * 1000
