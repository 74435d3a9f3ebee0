"""Training under differential privacy for single records: DP-SGD, and clipped moments.

DP-SGD (Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, algorithm 1): a step draws every record with
probability q, clips each record's gradient to L2 norm C, sums, adds noise of standard deviation sigma C, and divides by
the expected number of records q n, where n is public. What follows (momentum, proximal pull, learning rate) looks at
the noisy sum alone.

A record's gradient is never built: that of a linear layer is the outer product of the layer's input a and error d, so
its squared norm is (|a|^2 + 1) |d|^2, the bias included (Goodfellow, "Efficient Per-Example Gradient Computations",
2015), and clipping a record multiplies its errors.

Noise is added to integers. A sum is scaled to units of C / 2^20 and rounded, which moves each coordinate by half a unit
at most; so one record more or less moves the rounded sum by at most `sensitivity(D)` in L2 norm, for which the noise is
scaled. Sums are float64 over blocks: up to 2^20 records of norm C their rounding errors stay below half a unit as well.
So do those of the gradients, which depend a little (2^-52) on the place of a record in its block; only a hidden unit
that is zero up to such an error could fall on either side of its kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.errors import OutOfRange, TooFewFlows
from models_ml.local_trainer import LocalConfig, Progress, descend, update_of
from models_ml.perceptron import Floats, Layers, Parameters, backward, parameters_of, summed

UNITS = 1 << 20
"""Quantisation steps in a clipping norm."""
BLOCK, MAX_DRAWN = 1 << 10, 1 << 20
"""Records of one product and of one step, at most. A float64 sum of m terms by blocks of b is wrong by (b + m/b) 2^-53
of the sum of absolute values, which is at most m clipping norms: here by a quarter of a unit."""
PPM = 1_000_000

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Coins(Protocol):
    """Secret randomness. Amplification by sampling holds only while nobody can tell which records were drawn."""

    def drawn(self, rate_ppm: int, count: int) -> npt.NDArray[np.intp]:
        """Indices below `count`, each present with probability `rate_ppm` / 10^6, independently."""

    def noise(self, sigma: float, count: int) -> npt.NDArray[np.int64]:
        """`count` independent integers of a discrete Gaussian of standard deviation `sigma`."""


@dataclass(frozen=True)
class RecordNoise:
    """What a round fixes about the privacy of single records.

    Attributes:
        clip: L2 bound of one record's contribution.
        noise_multiplier: standard deviation of the noise in a step, in clipping norms.
        sampling_ppm: probability of each record to be drawn in a step, in millionths.
        steps: how many steps a round takes.
    """

    clip: float
    noise_multiplier: float
    sampling_ppm: int
    steps: int


def train_privately(
    parent: Mapping[str, Int32],
    inputs: Floats,
    labels: npt.NDArray[np.integer[Any]],
    config: LocalConfig,
    *,
    noise: RecordNoise,
    coins: Coins,
    progress: Progress | None = None,
) -> dict[str, Int32]:
    """The update of `noise.steps` steps from `parent` on `inputs` (n, features) and family indices `labels` (n,).

    Of `config` the learning rate and the proximal term count; epochs and batches are what the sampling makes of them.

    Every family weighs the same: weights from the families' counts would tell the counts.

    Raises:
        TooFewFlows: no records.
        OutOfRange: training diverged, or a step draws too many records.
    """
    if not len(inputs):
        raise TooFewFlows("there are no labelled flow records to train on", expected="at least one")
    return noisy_descent(
        parent,
        len(inputs),
        lambda parameters, rows: clipped_sum(parameters, inputs[rows], labels[rows], noise.clip),
        config,
        noise=noise,
        coins=coins,
        progress=progress,
    )


def noisy_descent(
    parent: Mapping[str, Int32],
    count: int,
    sum_of: Callable[[Parameters, npt.NDArray[np.intp]], Mapping[str, Int64]],
    config: LocalConfig,
    *,
    noise: RecordNoise,
    coins: Coins,
    progress: Progress | None = None,
) -> dict[str, Int32]:
    """The update of `noise.steps` steps from `parent` on `count` examples, whatever they are.

    Args:
        sum_of: the sum of the clipped gradients, as of `clipped_sum`, of the examples at the given indices.

    Raises:
        OutOfRange: training diverged to values that are not finite.
    """
    start = parameters_of(parent)
    parameters = {name: array.copy() for name, array in start.items()}
    velocity = {name: np.zeros_like(array) for name, array in start.items()}
    expected = noise.sampling_ppm / PPM * count
    for done in range(noise.steps):
        total = sum_of(parameters, coins.drawn(noise.sampling_ppm, count))
        gradient = {
            name: (noisy * (noise.clip / UNITS / expected)).astype(np.float32)
            for name, noisy in with_noise(total, noise.noise_multiplier, coins).items()
        }
        descend(parameters, velocity, gradient, start, config)
        if progress is not None:
            progress(done + 1, noise.steps)
    return update_of(parameters, start)


def clipped_sum(
    parameters: Mapping[str, Floats], inputs: Floats, labels: npt.NDArray[np.integer[Any]], clip: float
) -> dict[str, Int64]:
    """The sum over records of their gradients, each clipped to L2 norm `clip`, by tensor, in units of `clip` / 2^20.

    A record whose gradient has no finite norm contributes nothing.

    Raises:
        OutOfRange: more than `MAX_DRAWN` records.
    """
    if len(inputs) > MAX_DRAWN:
        raise OutOfRange(
            f"a step drew {len(inputs)} records",
            expected=f"at most {MAX_DRAWN}",
            action="Lower FL_PRIVACY_SAMPLING_RATE, or train on fewer records.",
        )
    exact = {name: array.astype(np.float64) for name, array in parameters.items()}
    total = {name: np.zeros(array.shape) for name, array in parameters.items()}
    for first in range(0, len(inputs), BLOCK):
        block = slice(first, first + BLOCK)
        with np.errstate(over="ignore", invalid="ignore"):
            layers, _ = backward(exact, inputs[block].astype(np.float64), labels[block], np.ones(len(labels[block])))
            scaled = clipped(layers, clip)
        for name, part in summed(scaled).items():
            total[name] += part
    return {name: np.rint(array * UNITS).astype(np.int64) for name, array in total.items()}


def clipped(layers: Layers, clip: float) -> Layers:
    """The layers of those records whose gradient has a finite norm, scaled to at most 1 where `clip` is the unit."""
    norms = np.sqrt(sum((_squares(inputs) + 1) * _squares(errors) for inputs, errors in layers.values()))
    finite = np.isfinite(norms)
    factors = 1 / np.maximum(norms[finite], clip)
    return {name: (inputs[finite], errors[finite] * factors[:, None]) for name, (inputs, errors) in layers.items()}


def with_noise(total: Mapping[str, Int64], noise_multiplier: float, coins: Coins) -> dict[str, Int64]:
    """A sum of `clipped_sum` with noise of that many clipping norms in every coordinate."""
    size = sum(array.size for array in total.values())
    noise = coins.noise(noise_multiplier * sensitivity(size), size)
    noisy, first = {}, 0
    for name, array in total.items():
        noisy[name] = array + noise[first : first + array.size].reshape(array.shape)
        first += array.size
    return noisy


def sensitivity(size: int) -> int:
    """How far one record moves the rounded sum of `size` coordinates, L2, in units.

    By its own contribution of at most `UNITS` (and a unit for the rounding of its norm), and in every coordinate by
    twice half a unit for rounding and twice half a unit for the errors of the sums.
    """
    return UNITS + 1 + math.ceil(2 * math.sqrt(size))


def private_means(values: Floats, noise: RecordNoise, coins: Coins) -> Float64:
    """Column means of (n, D) with one release of noise: every row clipped to L2 norm C; n is public.

    Rows are rounded towards zero one by one, so their sum is exact and one row moves it by `UNITS` at most. A row
    without a finite norm contributes nothing.

    Raises:
        TooFewFlows: no rows.
    """
    if not len(values):
        raise TooFewFlows("there are no flow records", expected="at least one")
    total = np.zeros(values.shape[1], dtype=np.int64)
    for first in range(0, len(values), BLOCK):
        block = values[first : first + BLOCK].astype(np.float64)
        with np.errstate(over="ignore"):
            norms = np.sqrt(_squares(block))
        finite = np.isfinite(norms)
        factors = (1 - 2.0**-40) / np.maximum(norms[finite], noise.clip)
        total += np.trunc(block[finite] * factors[:, None] * UNITS).astype(np.int64).sum(axis=0)
    noisy = total + coins.noise(noise.noise_multiplier * UNITS, total.size)
    return np.asarray(noisy * (noise.clip / UNITS / len(values)))


def _squares(rows: Floats) -> Float64:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))
