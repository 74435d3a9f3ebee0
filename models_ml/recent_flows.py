"""`recency` over a stream that arrives in pieces: every piece is counted as if it followed the earlier ones directly.

Two things carry over, both bounded. The flows of the last two windows: a count looks one window back, and whether a
flow in it was the first to its destination depends on one window more. And when two hosts last met on a port, for the
most recent such contacts; a contact that was forgotten counts as a first one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream
from models_ml.recency import WINDOW, Float64, Hosts, Int64, activity_of

MAX_FLOWS = 1 << 16
"""Flows carried over. In a flood beyond that, counts stay at what these hold, far up the log scale."""
MAX_CONTACTS = 1 << 18

Keys = npt.NDArray[np.uint64]


class RecentFlows:
    """What `activity_of` needs of earlier pieces. Pieces come in order of time, each sorted by it."""

    def __init__(self, max_flows: int = MAX_FLOWS, max_contacts: int = MAX_CONTACTS) -> None:
        self._max_flows, self._max_contacts = max_flows, max_contacts
        self._t = np.empty(0)
        self._src, self._dst = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
        self._port = np.empty(0, dtype=np.int32)
        self._contacts = np.empty(0, dtype=np.uint64)
        self._contact_times = np.empty(0)

    def observe(self, piece: EdgeStream) -> tuple[Int64, Float64]:
        """Counts (n, 5) and gaps (n,) of the records of the next piece."""
        if not len(piece):
            return np.empty((0, 5), dtype=np.int64), np.empty(0)
        recent = self._t >= piece.t[0] - 2 * WINDOW
        carried = int(recent.sum())
        times = np.concatenate((self._t[recent], piece.t))
        src = np.concatenate((self._src[recent], piece.src))
        dst = np.concatenate((self._dst[recent], piece.dst))
        port = np.concatenate((self._port[recent], piece.port))
        counts, gaps = activity_of(times, src, dst, port)
        kept = slice(max(0, len(times) - self._max_flows), None)
        self._t, self._src, self._dst, self._port = times[kept], src[kept], dst[kept], port[kept]
        return counts[carried:], self._since_contact(piece, gaps[carried:])

    def _since_contact(self, piece: EdgeStream, gaps: Float64) -> Float64:
        """Gaps, with the contacts that lie further back than the carried flows; remembers the piece's contacts."""
        keys = _contact_keys(piece)
        if len(self._contacts):
            first = np.flatnonzero(np.isinf(gaps))
            at = np.minimum(np.searchsorted(self._contacts, keys[first]), len(self._contacts) - 1)
            known = self._contacts[at] == keys[first]
            gaps[first[known]] = piece.t[first[known]] - self._contact_times[at[known]]
        self._remember(keys, piece.t)
        return gaps

    def _remember(self, keys: Keys, times: Float64) -> None:
        keys = np.concatenate((self._contacts, keys))
        times = np.concatenate((self._contact_times, times))
        # the last of equal keys is the newest: pieces come in order
        newest = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
        if len(newest) > self._max_contacts:
            latest = np.argpartition(times[newest], -self._max_contacts)[-self._max_contacts :]
            newest = newest[np.sort(latest)]
        self._contacts, self._contact_times = keys[newest], times[newest]


def _contact_keys(piece: EdgeStream) -> Keys:
    """One 64-bit number for (source, destination, port); pseudonyms are random already, so mixing them suffices."""
    key: Keys = piece.src * np.uint64(0x9E3779B97F4A7C15)
    key ^= _rotated(key, 29)
    key = (key + piece.dst) * np.uint64(0xBF58476D1CE4E5B9)
    key ^= _rotated(key, 32)
    key = (key + piece.port.astype(np.uint64)) * np.uint64(0x94D049BB133111EB)
    return key ^ _rotated(key, 31)


def _rotated(values: Hosts, bits: int) -> Hosts:
    return np.asarray(values >> np.uint64(bits))
