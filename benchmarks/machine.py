"""What a benchmark ran on, and when: beside every group of results."""

from __future__ import annotations

import os
import platform
import re
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
    """

    date: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load: float

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
        )

    def as_json(self) -> dict[str, str | int | float]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.date}, {self.processor}, {self.cores} cores, {self.memory_gb:g} GB, {self.system}, "
            f"Python {self.python}, load before {self.load:g}"
        )


def _first(pattern: str, path: str) -> str | None:
    found = re.search(pattern, Path(path).read_text(errors="replace"))
    return found[1].strip() if found else None
