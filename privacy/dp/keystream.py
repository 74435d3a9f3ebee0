"""Random bits for noise: an AES-256-CTR keystream under a key from the operating system, used once.

No generator of numpy's makes anything that is released: PCG64 is not cryptographic, and who learns its state from some
outputs can take the noise away from all others.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = 32
_BLOCK_BYTES = 16


class Keystream:
    """Uniform 64-bit words. Every stream has a key of its own, so none is ever used twice, also not after a fork.

    Args:
        key: 32 bytes, for tests that want the same words again; everything else leaves it out.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._fixed = key
        self._open(key or os.urandom(KEY_BYTES))

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """The next `count` words."""
        if self._fixed is None and os.getpid() != self._process:
            self._open(os.urandom(KEY_BYTES))
        return np.frombuffer(self._encryptor.update(bytes(8 * count)), dtype="<u8")

    def _open(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(_BLOCK_BYTES))).encryptor()
        self._process = os.getpid()
