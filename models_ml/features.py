"""What the classifier sees of a flow.

No address, no port number and no place of a host inside or outside the network enters: a port counts only as a coarse
class of service, hosts only by what they did just before (`recency`). Counts are log-scaled to [0, 2.8], so that first
and second moments stay below 8, the bound of a fixed-point update.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.recency import Int64, recent_activity

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Activity = tuple[Int64, Float64]

LOG_SCALE = 8.0
RECENT_LOG_SCALE = 4.0
LOG_LIMIT = 2.8

SERVICES: dict[str, tuple[int, ...]] = {
    "dns": (53, 5353, 5355, 853),
    "web": (80, 443, 8080, 8443, 8000, 8008),
    "mail": (25, 110, 143, 465, 587, 993, 995),
    "remote_access": (22, 23, 2222, 2323, 3389, 5900, 5985, 5986),
    "file_sharing": (20, 21, 69, 135, 137, 138, 139, 445, 2049),
    "directory": (88, 389, 464, 636, 3268),
    "database": (1433, 1521, 3306, 5432, 6379, 9200, 27017),
    "housekeeping": (67, 68, 123, 161, 162, 514, 546, 547, 1900, 3702),
}
"""Coarse classes of service by the responder's port; other ports are `system` (< 1024) or `high`."""

_NUMERIC = ("duration", "bytes_out", "bytes_in", "packets", "bytes_per_packet", "out_share", "unmeasured", "one_sided")
_RECENT = ("recent_source", "recent_pair", "recent_destination", "new_destinations", "new_services", "contact_gap")
_SERVICE_NAMES = (*SERVICES, "system", "high")
FEATURES = (
    *_NUMERIC,
    *_RECENT,
    *(f"proto_{name}" for name in PROTOCOLS),
    *(f"state_{name}" for name in STATES),
    *(f"service_{name}" for name in _SERVICE_NAMES),
)
"""Names of the features, in the order of the columns of `extract`."""


def _service_table() -> npt.NDArray[np.int8]:
    table = np.full(65536, _SERVICE_NAMES.index("high"), dtype=np.int8)
    table[:1024] = _SERVICE_NAMES.index("system")
    for index, ports in enumerate(SERVICES.values()):
        table[list(ports)] = index
    return table


_SERVICE_OF_PORT = _service_table()


def extract(stream: EdgeStream, activity: Activity | None = None) -> Float32:
    """Features of every record: float32 of shape (n, len(FEATURES)), values in [0, 2.8].

    Args:
        activity: counts and gap of `recency`, where they look further back than the stream does.
    """
    duration = np.nan_to_num(stream.duration, nan=0.0)
    counts, gap = recent_activity(stream) if activity is None else activity
    total = stream.bytes_out + stream.bytes_in
    numeric = np.column_stack(
        (
            _log(duration * 1e3),
            _log(stream.bytes_out),
            _log(stream.bytes_in),
            _log(stream.packets),
            _log(total / np.maximum(stream.packets, 1)),
            stream.bytes_out / np.maximum(total, 1),
            np.isnan(stream.duration),
            (stream.bytes_in == 0) & (stream.bytes_out > 0),
        )
    )
    return np.hstack(
        (
            numeric,
            _log(counts, RECENT_LOG_SCALE),
            _log(gap * 1e3)[:, None],
            _one_hot(stream.proto, len(PROTOCOLS)),
            _one_hot(stream.state, len(STATES)),
            _one_hot(_SERVICE_OF_PORT[stream.port], len(_SERVICE_NAMES)),
        )
    ).astype(np.float32)


def _log(values: npt.NDArray[Any], scale: float = LOG_SCALE) -> Float64:
    return np.asarray(np.minimum(np.log1p(values) / scale, LOG_LIMIT))


def _one_hot(codes: npt.NDArray[np.int8], width: int) -> npt.NDArray[np.bool_]:
    return np.asarray(codes[:, None] == np.arange(width))
