"""From the text of an address to what a stream holds of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from models_ml.adapters.columns import Value

MAX_KNOWN = 1 << 16
"""Hosts whose numbers are kept at hand: a few megabytes, whatever the file holds."""


class Pseudonyms:
    """Hosts as keyed 64-bit BLAKE2b digests.

    The mapping is one-way for whoever lacks the key (32 bytes, kept by the organisation) and remembers nothing.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, host: str) -> int:
        return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=8, key=self._key).digest(), "little")


class HostTable:
    """Pseudonyms of hosts, and which of them an organisation's indicators name.

    Args:
        is_listed: tells whether an address (as the log writes it) is one of the indicators; None: none is.
    """

    def __init__(self, pseudonyms: Pseudonyms, is_listed: Callable[[str], bool] | None = None) -> None:
        self._pseudonyms = pseudonyms
        self._is_listed = is_listed
        self._numbers: dict[Value, int] = {}
        self._listed: set[int] = set()

    def numbers(self, hosts: Sequence[Value]) -> npt.NDArray[np.uint64]:
        """The pseudonym of each of `hosts`."""
        self._learn(set(hosts))
        return np.fromiter(map(self._numbers.__getitem__, hosts), np.uint64, len(hosts))

    def listed(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Whether an indicator names the host, for pseudonyms that the last calls of `numbers` gave out."""
        if not self._listed:
            return np.zeros(len(numbers), dtype=np.bool_)
        return np.isin(numbers, np.fromiter(self._listed, np.uint64, len(self._listed)))

    def _learn(self, hosts: set[Value]) -> None:
        new = hosts - self._numbers.keys()
        if len(self._numbers) + len(new) > MAX_KNOWN:
            self._numbers.clear()
            self._listed.clear()
            new = hosts
        for host in new:
            address = str(host)
            number = self._numbers[host] = self._pseudonyms.of(address)
            if self._is_listed is not None and self._is_listed(address):
                self._listed.add(number)
