"""Loaded by every process of a coordinator under test, by PYTHONPATH: stops it at a named point of the product's code.

The file `armed` in the folder that FAULT_STOPS names holds a part of the coordinator, `web` or `worker`, and
`module:function:before|after`. The first process of that part that gets there takes the file (so that nobody else
stops), writes its process id into `reached`, and stops, as SIGSTOP stops it: in the middle of whatever it holds. The
test kills whom it wants to kill, and lets the stopped one go on if it lives.
The file `clock` moves the product's clock. Nothing of the product knows of this.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

CLOCK = "flxdr.core.clock"
LEASES = "federation.services.aggregation.claims"
PART = next((part for part in ("gunicorn", "worker", "beat") if part in sys.orig_argv), "").replace("gunicorn", "web")
STOPS = Path(os.environ.get("FAULT_STOPS", "/nonexistent"))
LEASE_SECONDS = os.environ.get("FAULT_LEASE_SECONDS")


def stop_here(point: str) -> None:
    """Stop this process if `point` is armed."""
    armed = STOPS / "armed"
    try:
        if armed.read_text() != f"{PART} {point}":
            return
        armed.rename(STOPS / f"taken-{os.getpid()}")  # one of several that read the same takes it
    except FileNotFoundError:
        return
    written = STOPS / f"reached-{os.getpid()}"
    written.write_text(str(os.getpid()))
    written.rename(STOPS / "reached")
    os.kill(os.getpid(), signal.SIGSTOP)


def watched(module: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        stop_here(f"{module}:{name}:before")
        result = function(*args, **kwargs)
        stop_here(f"{module}:{name}:after")
        return result

    return call


def move_clock(module: Any) -> None:
    """Let the product's clock be as many seconds ahead as the file `clock` says."""
    right = module.SystemClock.now

    def now(self: Any) -> Any:
        try:
            ahead = float((STOPS / "clock").read_text())
        except (FileNotFoundError, ValueError):
            ahead = 0.0
        return right(self) + timedelta(seconds=ahead)

    module.SystemClock.now = now


class Watching(importlib.abc.Loader):
    """Loads a module as its own loader does, and wraps the functions that points name."""

    def __init__(self, loader: importlib.abc.Loader, names: Sequence[str]) -> None:
        self._loader = loader
        self._names = names

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for name in self._names:
            owner, _, attribute = name.rpartition(".")
            holder = getattr(module, owner) if owner else module
            setattr(holder, attribute, watched(module.__name__, name, getattr(holder, attribute)))
        if module.__name__ == CLOCK:
            move_clock(module)
        if module.__name__ == LEASES and LEASE_SECONDS is not None:
            module.LEASE = timedelta(seconds=float(LEASE_SECONDS))  # type: ignore[attr-defined]


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that points name, through the usual path."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Watching(spec.loader, self._names[name])
        return spec


def watched_names() -> dict[str, list[str]]:
    """The functions of the folder's list, by module."""
    names: dict[str, list[str]] = {LEASES: [], CLOCK: []}
    with suppress(FileNotFoundError):
        for line in (STOPS / "watched").read_text().splitlines():
            module, name = line.split(":")
            names.setdefault(module, []).append(name)
    return names


if STOPS.is_dir():
    sys.meta_path.insert(0, Finder(watched_names()))
