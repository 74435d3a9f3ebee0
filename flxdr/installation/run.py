"""The seven groups in their order; one that breaks does not keep the next ones from being tried."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from flxdr.installation import coordinator as real
from flxdr.installation import kernels
from flxdr.installation.imports import imports
from flxdr.installation.outcome import Group, Outcome
from flxdr.installation.routes import routes

GROUPS = ("imports", "federation", "privacy", "models", "ledger", "aggregation", "API routes")


def verify_installation() -> Iterator[Outcome]:
    """Try every group; the coordinator of three of them starts while others are tried.

    Nothing of the configured coordinator is read or written: neither its data folder nor its database.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flxdr-verify-")))
        running = stack.enter_context(real.coordinator(folder))
        groups: dict[str, Group] = {
            "imports": imports,
            "privacy": kernels.privacy,
            "models": kernels.models,
            "aggregation": kernels.aggregation,
            "federation": partial(real.federation, running),
            "ledger": partial(real.ledger, running),
            "API routes": partial(routes, running),
        }
        for name, group in groups.items():
            yield attempt(name, group)


def attempt(name: str, group: Callable[[], str]) -> Outcome:
    """Try one group."""
    began = time.monotonic()
    try:
        holds, evidence = True, group()
    except Exception as error:  # noqa: BLE001 - whatever breaks it, it is broken, and the answer says how
        holds, evidence = False, f"{type(error).__name__}: {error}"
    return Outcome(name, holds, evidence, time.monotonic() - began)
