"""What storing an update safely costs at least: its SHA-256, and a file that survives a power cut."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from flxdr.platform.storage.files import sync_folder


def store(data: bytes, folder: Path) -> str:
    """Write `data` into a file named by its SHA-256, flush it and its folder to the disk, and return the name."""
    name = hashlib.sha256(data).hexdigest()
    partial = folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}"
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / name)
    sync_folder(folder)
    return name


def seconds_to_store(bodies: Sequence[bytes], folder: Path) -> float:
    """Seconds that one process takes to store all of them, one after the other."""
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    for body in bodies:
        store(body, folder)
    return time.perf_counter() - start
