"""The addresses behind pseudonyms, remembered only where somebody asks for them, and only in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models_ml.adapters.hosts import Pseudonyms

MAX_ADDRESSES = 1 << 18


class AddressBook:
    """Learns addresses where the reader asks of every new one whether it is an indicator (`Reading.is_listed`).

    Args:
        pseudonym_key: the key of the reader's pseudonyms.
        is_listed: answers the reader's question; None: no address is an indicator.
    """

    def __init__(self, pseudonym_key: bytes, is_listed: Callable[[str], bool] | None = None) -> None:
        self._pseudonyms = Pseudonyms(pseudonym_key)
        self._is_listed = is_listed
        self._addresses: dict[int, str] = {}
        self._new: dict[int, str] = {}

    def __call__(self, address: str) -> bool:
        """Remember the address, and whether it is an indicator."""
        self.learn({self._pseudonyms.of(address): address})
        return self._is_listed is not None and self._is_listed(address)

    def __len__(self) -> int:
        return len(self._addresses)

    def learn(self, addresses: Mapping[int, str]) -> None:
        """Remember addresses by pseudonym; beyond `MAX_ADDRESSES` the oldest are forgotten."""
        for host, address in addresses.items():
            self._addresses.pop(host, None)
            self._addresses[host] = self._new[host] = address
        while len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]

    def of(self, host: int) -> str | None:
        """The address of a pseudonym, if it is remembered."""
        return self._addresses.get(host)

    def take_new(self) -> dict[int, str]:
        """What was learnt since the last call."""
        new, self._new = self._new, {}
        return new
