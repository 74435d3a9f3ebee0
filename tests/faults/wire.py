"""The organisations' side of the wire: every request counted, and every update whose acceptance was confirmed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

SUBMIT = "/federation/round/submit-gradient"


@dataclass
class Wire:
    """What went over it.

    Attributes:
        outcomes: requests by status, and `broken` for those whose connection ended without an answer.
        submits: the same of updates alone.
        accepted: length of every update by its digest that the coordinator said it had taken.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    submits: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, request: httpx.Request, status: int | None, answer: bytes = b"") -> None:
        with self._lock:
            self.outcomes["broken" if status is None else str(status)] += 1
            if request.url.path.endswith(SUBMIT):
                self.submits["broken" if status is None else str(status)] += 1
            if status in (200, 201) and request.url.path.endswith(SUBMIT):
                digest: str = json.loads(answer)["submission_digest"]
                assert digest == hashlib.sha256(request.content).hexdigest()
                self.accepted[digest] = len(request.content)

    @property
    def sent(self) -> int:
        return self.outcomes.total()

    @property
    def disturbed(self) -> int:
        """Requests without an answer, or with one that says to come again."""
        return sum(count for outcome, count in self.outcomes.items() if outcome == "broken" or outcome >= "500")

    def lost(self, data_dir: Path) -> int:
        """Bytes of confirmed updates that the coordinator's store does not hold any more."""
        return sum(length for digest, length in self.accepted.items() if not _is_kept(data_dir / "blobs", digest))


def _is_kept(blobs: Path, digest: str) -> bool:
    try:
        return hashlib.sha256((blobs / digest[:2] / digest).read_bytes()).hexdigest() == digest
    except FileNotFoundError:
        return False


class CountingTransport(httpx.BaseTransport):
    """TCP, with every exchange noted."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._tcp = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._tcp.handle_request(request)
            content = response.read()
        except httpx.TransportError:
            self._wire.note(request, None)
            raise
        self._wire.note(request, response.status_code, content)
        kept: Any = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx.Response(response.status_code, headers=kept, content=content, extensions=response.extensions)

    def close(self) -> None:
        self._tcp.close()
