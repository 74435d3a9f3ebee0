"""The secret randomness of differentially private training: which records a step draws, and its noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privacy.dp.composition import PPM
from privacy.dp.discrete_gaussian import sample
from privacy.dp.keystream import Keystream
from privacy.errors import PrivacyParameterInvalid


class SecretCoins:
    """Draws and noise from one cryptographic keystream, no part of which is used twice.

    Args:
        stream: where the bits come from; a fresh one if left out.
    """

    def __init__(self, stream: Keystream | None = None) -> None:
        self._stream = stream or Keystream()

    def drawn(self, rate_ppm: int, count: int) -> npt.NDArray[np.intp]:
        """Indices below `count`, each present with probability `rate_ppm` / 10^6 (up to 2^-64 less), independently.

        Raises:
            PrivacyParameterInvalid: a rate out of range.
        """
        if not 0 < rate_ppm <= PPM:
            raise PrivacyParameterInvalid(f"a sampling rate of {rate_ppm} ppm", expected=f"1 to {PPM}")
        if rate_ppm == PPM:
            return np.arange(count)
        return np.flatnonzero(self._stream.words(count) < np.uint64(2**64 * rate_ppm // PPM))

    def noise(self, sigma: float, count: int) -> npt.NDArray[np.int64]:
        """`count` independent integers of a discrete Gaussian of standard deviation `sigma`.

        Raises:
            PrivacyParameterInvalid: sigma out of range.
        """
        return sample(sigma, count, stream=self._stream)
