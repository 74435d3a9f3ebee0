"""The one statement that gives budget back: an organisation signs that it drew no noise for a round.

Signed as DSSE (`flxdr.core.dsse.NO_NOISE_TYPE`), like everything that organisations sign. Pure: the agent builds and
signs, the coordinator rebuilds and compares.
"""

from __future__ import annotations

from flxdr.core import canonical

VERSION = 1


def no_noise(*, round_id: str, org_id: str) -> bytes:
    """Canonical bytes of "this organisation drew no noise in this round and will not"."""
    return canonical.encode({"v": VERSION, "round_id": round_id, "org": org_id, "no_noise_drawn": True})
