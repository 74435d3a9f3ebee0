"""A coordinator's state with three members and released models, made by a process of its own, and commands on it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import django

from tests.support.processes import REPOSITORY, clean_environment

MODEL = "edge-classifier"


def manage(
    environment: Mapping[str, str], *arguments: str, code: int = 0, limit_bytes: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end, which has to be with that code.

    Args:
        limit_bytes: no file may become larger.
    """
    limit = ["prlimit", f"--fsize={limit_bytes}"] if limit_bytes is not None else []
    done = subprocess.run(
        [*limit, sys.executable, str(REPOSITORY / "manage.py"), *arguments],
        env=clean_environment(environment),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answer(environment: Mapping[str, str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """The JSON document that a command prints."""
    document: dict[str, Any] = json.loads(manage(environment, *arguments, "--json", code=code).stdout)
    return document


def seed(environment: Mapping[str, str], *, rounds: int = 2) -> None:
    """Migrate, enrol three members and release so many models."""
    manage(environment, "migrate", "-v0")
    more(environment, rounds=rounds)


def more(environment: Mapping[str, str], *, rounds: int = 1) -> None:
    """Release so many further models, by the members that are there or three new ones."""
    subprocess.run(
        [sys.executable, "-m", "tests.site.backups", str(rounds)],
        env={**clean_environment(environment), "DJANGO_SETTINGS_MODULE": "flxdr.settings"},
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=120,
        check=True,
    )


def _release(count: int) -> None:
    from federation.models import Organization, TrainingRound  # noqa: PLC0415 - the settings come first
    from federation.services import rounds  # noqa: PLC0415
    from flxdr.core.clock import SystemClock  # noqa: PLC0415
    from flxdr.core.keys import Algorithm, PrivateKey  # noqa: PLC0415
    from tests.support import federation as simulated  # noqa: PLC0415

    clock = SystemClock()
    federation = simulated.SimulatedFederation(clock)
    if Organization.objects.exists():
        for name in "abc":
            key = PrivateKey(Algorithm.ED25519, hashlib.sha256(name.encode()).digest())
            federation.organizations.append(simulated.SimulatedOrganization(name, clock, key))
    else:
        federation.enrol(*"abc")
    shapes = simulated.shapes_of(MODEL)
    for _ in range(count):
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        values = {name: 1000 * (1 + index) + started.number for index, name in enumerate("abc")}
        for member in federation.organizations:
            member.submit_delta(started, simulated.constant_delta(shapes, values[member.org_id]))
        federation.settle()
        assert TrainingRound.objects.get(pk=started.pk).status == "completed"


if __name__ == "__main__":
    django.setup()
    _release(int(sys.argv[1]))
