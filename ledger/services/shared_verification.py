"""One verification for everybody who asks for one.

A pass checks the signatures of thousands of blocks, and everybody who may read the chain may ask for one: asked in a
loop it would take the whole machine. So a process runs one pass at a time, and after a long one it rests for a
multiple of what that took; whoever asks meanwhile gets that pass's report with the time at which it began. A new block
ends the rest. Short passes are never given twice, so on a short chain every answer is fresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flxdr.core.clock import Clock
from ledger.chain.verify import Report
from ledger.models import Block
from ledger.services.verification import verify_ledger

Head = tuple[int, str] | None
SHORT_SECONDS = 0.1
"""Passes up to this long are repeated for every request."""
REST = 9
"""Rest after a long pass, in multiples of its duration: verifying takes a tenth of a processor at most."""


@dataclass(frozen=True)
class Verified:
    """A report, and when the pass that wrote it began."""

    report: Report
    began_at: datetime


@dataclass(frozen=True)
class _Kept:
    verified: Verified
    head: Head
    signatures: int
    until: float


class SharedVerification:
    """Verifies the stored chain, seldom enough.

    Args:
        timer: monotonic seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def verify(self, *, clock: Clock, signatures: int) -> Verified:
        """The report of a pass over every stored block, made now or a moment ago.

        Args:
            signatures: of so many of the newest blocks the signatures are checked.
        """
        with self._lock:
            head = _head()
            kept = self._kept
            if kept is not None and (kept.head, kept.signatures) == (head, signatures) and self._timer() < kept.until:
                return kept.verified
            began, began_at = self._timer(), clock.now()
            height = -1 if head is None else head[0]
            report = verify_ledger(clock=clock, signatures_from=max(0, height + 1 - signatures))
            ended = self._timer()
            verified = Verified(report, began_at)
            rest = REST * (ended - began) if ended - began > SHORT_SECONDS else 0.0
            self._kept = _Kept(verified, head, signatures, ended + rest)
            return verified


shared = SharedVerification()
"""This process's."""


def _head() -> Head:
    return Block.objects.order_by("-height").values_list("height", "block_hash").first()
