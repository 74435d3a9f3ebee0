"""A coordinator and its organisations as one thing that tests drive and look at from outside, over HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from federation.agent.session import Surroundings
from ledger.chain.block import Header, parse_header
from models_ml.registry import EDGE_NORMALISER
from tests.e2e.organizations import Organization, organizations
from tests.support.processes import API, Coordinator, eventually

OPEN = ("in_progress", "aggregating", "verifying")


@dataclass(frozen=True)
class Federation:
    """Organisations and the coordinator that they share."""

    coordinator: Coordinator
    members: Sequence[Organization]

    def get(self, path: str) -> Any:
        """A GET that survives the web process being restarted."""

        def look() -> httpx.Response | None:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.coordinator.url}{API}/{path}", timeout=20)
            return None

        response = eventually(look, what=f"GET {path}\n{self.coordinator.tail()}")
        assert response.status_code == 200, response.text
        return response.json()

    def start_round(self, model: str = EDGE_NORMALISER) -> str:
        """Start a round, of the smallest model if none is named; its id."""
        response = httpx.post(
            f"{self.coordinator.url}{API}/federation/round/start",
            json={"model": model, "aggregation_method": "FedAvg", "min_orgs_required": len(self.members)},
            timeout=20,
        )
        assert response.status_code in (200, 201), response.text
        return str(response.json()["round_id"])

    def status(self, round_id: str) -> str:
        return str(self.get(f"federation/round/{round_id}/status")["status"])

    def finish(self, round_id: str, *, timeout: float = 120.0) -> str:
        """Let every organisation do what is due until the round has ended; its status."""

        def look() -> str | None:
            for member in self.members:
                member.step()
            status = self.status(round_id)
            return None if status in OPEN else status

        return eventually(look, what=f"{round_id} ends\n{self.coordinator.tail()}", timeout=timeout, every=0.2)

    def chain(self) -> list[Header]:
        records = self.get("blockchain/ledger/export?from=0&limit=100")["records"]
        return [parse_header(base64.b64decode(record["header"])) for record in records]

    def releases(self) -> list[str]:
        """Round ids of the sealed releases, in order."""
        return [header.provenance.round_id for header in self.chain() if header.provenance is not None]

    def verify_chain(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.coordinator.manage("verify_chain", "--json").stdout)
        return answer


@contextlib.contextmanager
def running(
    coordinator: Coordinator, folder: Path, *, members: int, surroundings: Surroundings | None = None
) -> Iterator[Federation]:
    """Enrol `members` organisations and wait until the chain has admitted all of them."""
    with organizations(folder, coordinator.url, members, surroundings) as made:
        federation = Federation(coordinator, made)
        for member in made:
            member.enrol()

        def admitted() -> bool:
            for member in made:
                member.step()
            states = [member.agent.state.chain() for member in made]
            return all(state is not None and len(state.keys.members) == members for state in states)

        eventually(admitted, what=f"{members} members\n{coordinator.tail()}", timeout=240, every=0.2)
        yield federation
