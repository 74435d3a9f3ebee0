"""What a benchmark ran on, and when: beside every group of results."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """When and where a group was measured.

    Args:
        date: UTC, `YYYY-MM-DD`.
        processor: as the kernel names it.
        cores: that this process may use.
        memory_gb: of the machine, in GB.
        system: kernel and C library.
        python: version of the interpreter.
        load: processes that waited for a core, on average, in the minute before: above 0.5 others were at work.
        yardstick_ms: what a fixed loop took just before. Times that were measured beside a longer one are longer for
            no fault of the code: shared machines are half as fast from one minute to the next.
        vectors: the widest vector instructions of the processor, on which peers gain differently.
    """

    date: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load: float
    yardstick_ms: float | None = None
    vectors: str | None = None

    @classmethod
    def here_and_now(cls) -> Run:
        return cls(
            date=datetime.now(UTC).date().isoformat(),
            processor=_first(r"model name\s*:\s*(.+)", "/proc/cpuinfo") or platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(int(_first(r"MemTotal:\s*(\d+) kB", "/proc/meminfo") or 0) * 1024 / 1e9, 1),
            system=f"{platform.system()} {platform.release().split('-')[0]}, {' '.join(platform.libc_ver())}",
            python=platform.python_version(),
            load=round(os.getloadavg()[0], 2),
            yardstick_ms=round(min(_yardstick() for _ in range(3)), 1),
            vectors=_widest_vectors((_first(r"flags\s*:\s*(.+)", "/proc/cpuinfo") or "").split()),
        )

    def as_json(self) -> dict[str, str | int | float | None]:
        return asdict(self)

    def __str__(self) -> str:
        vectors = f" ({self.vectors})" if self.vectors else ""
        yardstick = f", yardstick {self.yardstick_ms:g} ms" if self.yardstick_ms else ""
        return (
            f"{self.date}, {self.processor}{vectors}, {self.cores} cores, {self.memory_gb:g} GB, {self.system}, "
            f"Python {self.python}, load before {self.load:g}{yardstick}"
        )


def _widest_vectors(flags: Sequence[str]) -> str | None:
    return next((name for name in ("avx512f", "avx2") if name in flags), None)


def _yardstick() -> float:
    """Milliseconds for a million steps of the interpreter and 16 MB of SHA-256."""
    begun, total = time.perf_counter(), 0
    for number in range(1_000_000):
        total += number & 7
    hashlib.sha256(bytes(16_000_000)).digest()
    return (time.perf_counter() - begun) * 1000


def _first(pattern: str, path: str) -> str | None:
    found = re.search(pattern, Path(path).read_text(errors="replace"))
    return found[1].strip() if found else None
