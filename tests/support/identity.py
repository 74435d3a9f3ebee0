"""A real identity provider for tests: oidc-provider-mock in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from tests.support.processes import eventually, free_port


@contextmanager
def identity_provider(*people: dict[str, Any]) -> Iterator[str]:
    """A provider that knows people by their claims (`sub` among them) and asks nobody for a password; its issuer."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    known = [argument for person in people for argument in ("--user-claims", json.dumps(person))]
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "oidc_provider_mock",
            "--port",
            str(port),
            "--host",
            "localhost",
            *known,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=5).status_code == 200
        return False

    try:
        eventually(answers, what="the identity provider answers")
        yield issuer
    finally:
        process.terminate()
        process.wait(timeout=20)
