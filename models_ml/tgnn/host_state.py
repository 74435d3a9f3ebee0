"""What is kept of every host between pieces of a stream: its memory and its last ten node events, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.tgnn.history import NEIGHBOURS
from models_ml.tgnn.inputs import MESSAGE, QUANTITIES
from models_ml.tgnn.memory import HALF_LIVES
from models_ml.tgnn.network import SAGE1

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Hosts = npt.NDArray[np.uint64]

FLOW = np.dtype(
    [
        ("t", np.float64),
        ("src", np.uint64),
        ("dst", np.uint64),
        ("port", np.int32),
        ("proto", np.int8),
        ("state", np.int8),
        ("bytes_out", np.int64),
        ("bytes_in", np.int64),
    ]
)
"""A flow as an explanation shows it."""


@dataclass(frozen=True)
class Events:
    """Node events as later events of the same host need them, one row each.

    Attributes:
        messages: (m, MESSAGE) `inputs.messages_of`.
        weights: (m, quantities) `inputs.weights_of`.
        others: (m, SAGE1) `h` of the other end at that flow.
        flows: (m,) the flows, of type `FLOW`.
    """

    messages: Float32
    weights: Float32
    others: Float32
    flows: npt.NDArray[np.void]

    @classmethod
    def blank(cls, *shape: int) -> Events:
        """Zeros of a leading shape."""
        return cls(
            messages=np.zeros((*shape, MESSAGE), dtype=np.float32),
            weights=np.zeros((*shape, len(QUANTITIES)), dtype=np.float32),
            others=np.zeros((*shape, SAGE1), dtype=np.float32),
            flows=np.zeros(shape, dtype=FLOW),
        )

    def at(self, *index: Int64) -> Events:
        """The rows at an index."""
        return Events(self.messages[index], self.weights[index], self.others[index], self.flows[index])

    def then(self, later: Events) -> Events:
        """These rows, followed by `later`'s."""
        return Events(
            np.concatenate((self.messages, later.messages)),
            np.concatenate((self.weights, later.weights)),
            np.concatenate((self.others, later.others)),
            np.concatenate((self.flows, later.flows)),
        )


class HostStates:
    """States of up to `max_hosts` hosts; when they are more, those go that were seen least recently."""

    def __init__(self, max_hosts: int) -> None:
        if max_hosts < 2:
            raise ValueError(f"a flow has two hosts, and {max_hosts} would be kept")
        self._slots: dict[int, int] = {}
        self._hosts = np.zeros(max_hosts, dtype=np.uint64)
        self._last_seen = np.full(max_hosts, -np.inf)
        self._memory = np.zeros((max_hosts, len(QUANTITIES), len(HALF_LIVES)), dtype=np.float32)
        self._counts = np.zeros(max_hosts, dtype=np.int64)
        self._events = Events.blank(max_hosts, NEIGHBOURS)

    def __len__(self) -> int:
        return len(self._slots)

    def slots_of(self, hosts: Hosts) -> Int64:
        """Where each host is kept, -1 for those that are not."""
        return np.fromiter((self._slots.get(host, -1) for host in hosts.tolist()), dtype=np.int64, count=len(hosts))

    def recalled(self, slots: Int64) -> tuple[Float64, Float32, Int64, Events]:
        """When the hosts of these slots were last seen, their memory then, and their last events.

        Returns:
            last seen (k,); memory (k, quantities, half-lives); which of the k each event is of (m,); the events (m,) in
            order of time.
        """
        counts = self._counts[slots]
        owner = np.repeat(np.arange(len(slots)), counts)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._last_seen[slots], self._memory[slots], owner, self._events.at(slots[owner], number)

    def keep(
        self, hosts: Hosts, *, last_seen: Float64, memory: Float32, owner: Int64, number: Int64, last: Events
    ) -> None:
        """Replace the states of `hosts` (k,).

        Args:
            owner, number: (m,) which of the k an event of `last` is of, and its place among that host's, oldest first.
        """
        slots = self._room_for(hosts, last_seen)
        kept = slots >= 0
        self._last_seen[slots[kept]] = last_seen[kept]
        self._memory[slots[kept]] = memory[kept]
        self._counts[slots[kept]] = np.bincount(owner, minlength=len(hosts))[kept]
        rows = kept[owner]
        slot, place = slots[owner[rows]], number[rows]
        for name in ("messages", "weights", "others", "flows"):
            getattr(self._events, name)[slot, place] = getattr(last, name)[rows]

    def _room_for(self, hosts: Hosts, last_seen: Float64) -> Int64:
        """A slot for each host, -1 for the least recent of more hosts than there are slots."""
        slots = self.slots_of(hosts)
        new = np.flatnonzero(slots < 0)
        free = len(self._hosts) - len(self._slots)
        if len(new) > free:
            self._forget(len(new) - free, slots[slots >= 0])
            free = len(self._hosts) - len(self._slots)
            new = new[np.argsort(last_seen[new], kind="stable")][max(0, len(new) - free) :]
        taken = np.zeros(len(self._hosts), dtype=bool)
        taken[list(self._slots.values())] = True
        room = np.flatnonzero(~taken)[: len(new)]
        slots[new] = room
        self._hosts[room] = hosts[new]
        self._slots.update(zip(hosts[new].tolist(), room.tolist(), strict=True))
        return slots

    def _forget(self, count: int, needed: Int64) -> None:
        last_seen = self._last_seen.copy()
        last_seen[needed] = np.inf
        occupied = np.array(list(self._slots.values()), dtype=np.int64)
        spare = occupied[np.isfinite(last_seen[occupied])]
        for slot in spare[np.argsort(last_seen[spare], kind="stable")][:count]:
            del self._slots[int(self._hosts[slot])]
            self._counts[slot] = 0
