"""Noise for released integers: samples of the discrete Gaussian, one thread, keystream included."""

from __future__ import annotations

from benchmarks.measure import Row, alone, versions
from privacy.dp.discrete_gaussian import sample

SAMPLES = 1_000_000
SIGMA = 2.0**20
"""A norm bound of one tenth at 2^-24, with a noise multiplier of about 0.6."""
LEAST_PER_SECOND = 5_000_000


def rows() -> list[Row]:
    """`noise.discrete_gaussian`, in microseconds for a thousand samples."""
    measured = alone("noise.discrete_gaussian", ours=lambda: lambda: sample(SIGMA, SAMPLES), note="")
    each = measured.ours  # milliseconds for a million are microseconds for a thousand
    note = (
        f"{SAMPLES * 1000 / each / 1e6:.1f} million samples/s of sigma 2^20 (least: {LEAST_PER_SECOND / 1e6:.0f}); "
        + versions("numpy", "cryptography")
    )
    limit = 1e9 / LEAST_PER_SECOND
    return [Row(measured.name, each, None, None, "us/1000 samples", limit, None, note)]
