"""Organisations as clients of a running coordinator: they register with a key, submit when told to, and vote.

Their own checks are left out: what is measured is the coordinator.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from federation import statements
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import sign_own_token
from models_ml import codec
from tests.support.processes import API, eventually

POLL_SECONDS = 2


def connection(url: str) -> httpx.Client:
    """A client of the coordinator's API at `url`."""
    return httpx.Client(base_url=f"{url}{API}/", timeout=60, trust_env=False)


@dataclass(frozen=True)
class Request:
    """What is sent to `federation/round/submit-gradient`."""

    content: bytes
    headers: dict[str, str]


def submission_statement(current: Mapping[str, Any], *, org_id: str, wire_digest: str) -> bytes:
    """What is said about a delta without noise that goes to the round `current`, as the API shows that."""
    config = RoundConfig.decode(base64.b64decode(current["config"]))
    return statements.submission(
        chain_id=config.chain_id,
        round_id=config.round_id,
        config_hash=current["config_hash"],
        org=org_id,
        parent_hash=config.parent_hash,
        kind="delta",
        samples=1000,
        privacy={"mechanism": "none"},
        wire_digest=wire_digest,
        metrics={"loss": 0.5},
    )


class Organization:
    """An organisation with an ML-DSA-65 key."""

    def __init__(self, url: str, org_id: str) -> None:
        self.org_id = org_id
        self.key = PrivateKey.generate()
        self.http = connection(url)

    def register(self, chain_id: str) -> None:
        """Register with a proof of possession of the key."""
        statement = statements.registration(
            org_id=self.org_id, org_name=self.org_id, key_id=self.key.public.key_id, chain_id=chain_id
        )
        proof = dsse.sign(self.key, dsse.REGISTRATION_TYPE, statement)
        body = {
            "org_id": self.org_id,
            "org_name": self.org_id,
            "crypto_pubkey": self.key.public.to_base64(),
            "key_proof": base64.b64encode(proof).decode(),
        }
        self.http.post("federation/register", json=body).raise_for_status()

    def prepare(self, update: dict[str, Any], model: str | None = None) -> Request:
        """The signed request that submits `update` to the current round of `model`."""
        current = self.waiting(model=model)["round"]
        body = codec.encode(update)
        statement = submission_statement(current, org_id=self.org_id, wire_digest=hashlib.sha256(body).hexdigest())
        signature = dsse.sign(self.key, dsse.SUBMISSION_TYPE, statement)
        envelope = statements.Envelope(statement, self.key.public.key_id, signature)
        headers = {
            **self.token(),
            "Content-Type": "application/vnd.safetensors",
            "Submission-Statement": envelope.compact(),
        }
        return Request(body, headers)

    def submit(self, request: Request) -> None:
        """Send a prepared update."""
        self.http.post(
            "federation/round/submit-gradient", content=request.content, headers=request.headers
        ).raise_for_status()

    def waiting(self, *, wait: int = 0, model: str | None = None) -> dict[str, Any]:
        """What waits for this organisation, after `wait` seconds at most."""
        parameters = {"wait": str(wait), **({} if model is None else {"model": model})}
        response = self.http.get("federation/round/current", params=parameters, headers=self.token())
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    def approve(self, proposal: dict[str, Any]) -> None:
        """Vote for a proposed block; one that others' votes sealed meanwhile needs no more."""
        signature = dsse.sign(self.key, dsse.BLOCK_TYPE, base64.b64decode(proposal["header"]))
        vote = {"key_id": self.key.public.key_id, "signature": base64.b64encode(signature).decode()}
        response = self.http.post(f"blockchain/proposals/{proposal['id']}/approve", json=vote, headers=self.token())
        if response.status_code != httpx.codes.CONFLICT:
            response.raise_for_status()

    def token(self) -> dict[str, str]:
        """The header of one request; a token is good for one write."""
        return {"Authorization": f"Bearer {sign_own_token(org_id=self.org_id, key=self.key)}"}

    def close(self) -> None:
        self.http.close()


class Voter:
    """Approves whatever awaits an organisation's vote as soon as its long poll tells it, until it is stopped."""

    def __init__(self, url: str, organization: Organization) -> None:
        self._organization = Organization(url, organization.org_id)
        self._organization.key = organization.key
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._vote, name=organization.org_id)
        self._thread.start()

    def stop(self) -> None:
        self._leaving.set()
        self._thread.join()
        self._organization.close()

    def _vote(self) -> None:
        while not self._leaving.is_set():
            for proposal in self._organization.waiting(wait=POLL_SECONDS)["proposals"]:
                self._organization.approve(proposal)


@contextmanager
def members(url: str, count: int) -> Iterator[Sequence[Organization]]:
    """Organisations whose admissions are sealed by the votes of those before them."""
    with connection(url) as operator, ExitStack() as stack:
        head = operator.get("blockchain/head").raise_for_status().json()
        admitted: list[Organization] = []
        for height in range(head["height"] + 1, head["height"] + 1 + count):
            organization = Organization(url, f"org-{height}")
            stack.callback(organization.close)
            organization.register(head["chain_id"])
            seal(operator, admitted, height)
            admitted.append(organization)
        yield admitted


def seal(operator: httpx.Client, voters: Sequence[Organization], height: int) -> None:
    """Let the voters approve what waits for them, one after the other, until the block at `height` is sealed."""

    def sealed() -> bool:
        return int(operator.get("blockchain/head").raise_for_status().json()["height"]) >= height

    def vote() -> bool:
        proposals = voters[0].waiting()["proposals"] if voters else []
        for number, voter in enumerate(voters):
            for proposal in proposals:
                voter.approve(proposal)
            if number >= len(voters) // 2 and sealed():
                return True
        return sealed()

    eventually(vote, what=f"block {height} is sealed", timeout=120)
