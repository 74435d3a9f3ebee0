"""From the last submission to the sealed block, on the embedded default: SQLite, files as the queue, real processes.

Five organisations with keys and 80,000 parameters. The measured time starts when the last organisation begins to send
its update and ends when the round reads as completed, so it holds the upload, its checks, the aggregation, the
proposal, the votes and the seal. The organisations' own checks are left out: here a client approves whatever awaits
its vote as soon as its long poll tells it.
"""

from __future__ import annotations

import base64
import hashlib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.measure import Row, versions
from federation import statements
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import sign_own_token
from models_ml import codec
from tests.support.processes import API, Coordinator, eventually

ORGANIZATIONS = 5
PARAMETERS = 80_000
ROUNDS = 9
LIMIT_SECONDS = 1.0
POLL_SECONDS = 2


class VotingClient:
    """An organisation that submits when told to and approves whatever awaits its vote."""

    def __init__(self, url: str, org_id: str) -> None:
        self.org_id = org_id
        self.key = PrivateKey.generate()
        self._http = httpx.Client(base_url=f"{url}{API}/", timeout=30, trust_env=False)
        self._votes = httpx.Client(base_url=f"{url}{API}/", timeout=30, trust_env=False)
        self._leaving = threading.Event()
        self._voter = threading.Thread(target=self._vote, name=org_id)

    def enrol(self, chain_id: str) -> None:
        """Register with the key, and begin to vote."""
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
        self._http.post("federation/register", json=body).raise_for_status()
        self._voter.start()

    def prepare(self, update: dict[str, Any]) -> dict[str, Any]:
        """The signed request that submits `update` to the current round."""
        answer = self._http.get("federation/round/current", headers=self._token()).raise_for_status().json()
        current = answer["round"]
        config = RoundConfig.decode(base64.b64decode(current["config"]))
        body = codec.encode(update)
        statement = statements.submission(
            chain_id=config.chain_id,
            round_id=config.round_id,
            config_hash=current["config_hash"],
            org=self.org_id,
            parent_hash=config.parent_hash,
            kind="delta",
            samples=1000,
            privacy={"mechanism": "none"},
            wire_digest=hashlib.sha256(body).hexdigest(),
            metrics={"loss": 0.5},
        )
        signature = dsse.sign(self.key, dsse.SUBMISSION_TYPE, statement)
        envelope = statements.Envelope(statement, self.key.public.key_id, signature)
        headers = {
            **self._token(),
            "Content-Type": "application/vnd.safetensors",
            "Submission-Statement": envelope.compact(),
        }
        return {"content": body, "headers": headers}

    def submit(self, request: dict[str, Any]) -> None:
        self._http.post("federation/round/submit-gradient", **request).raise_for_status()

    def leave(self) -> None:
        """Stop voting."""
        self._leaving.set()
        if self._voter.ident is not None:
            self._voter.join()
        self._http.close()
        self._votes.close()

    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {sign_own_token(org_id=self.org_id, key=self.key)}"}

    def _vote(self) -> None:
        while not self._leaving.is_set():
            answer = self._votes.get("federation/round/current", params={"wait": POLL_SECONDS}, headers=self._token())
            for proposal in answer.raise_for_status().json()["proposals"]:
                signature = dsse.sign(self.key, dsse.BLOCK_TYPE, base64.b64decode(proposal["header"]))
                vote = {
                    "key_id": self.key.public.key_id,
                    "signature": base64.b64encode(signature).decode(),
                }
                response = self._votes.post(
                    f"blockchain/proposals/{proposal['id']}/approve", json=vote, headers=self._token()
                )
                if response.status_code != httpx.codes.CONFLICT:  # sealed by the others' votes meanwhile
                    response.raise_for_status()


def rows() -> list[Row]:
    """`round.latency.5x80k`."""
    with (
        tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder,
        Coordinator(Path(folder) / "data") as coordinator,
    ):
        seconds = _measure(coordinator.url)
    return [
        Row(
            name="round.latency.5x80k",
            ours=round(statistics.median(seconds), 3),
            peer=None,
            ratio=None,
            unit="s",
            limit=LIMIT_SECONDS,
            limit_ratio=None,
            note=f"median of {len(seconds)} rounds ({min(seconds):.2f} to {max(seconds):.2f} s), {ORGANIZATIONS} "
            f"organizations, {PARAMETERS} parameters, `manage.py up` on SQLite and files; votes by an automatic "
            f"client that checks nothing; {versions('django', 'celery', 'gunicorn')}",
        )
    ]


def _measure(url: str) -> list[float]:
    with (
        httpx.Client(base_url=f"{url}{API}/", timeout=30, trust_env=False) as operator,
        _enrolled(operator, url) as all_,
    ):
        return [_round(operator, all_, number) for number in range(ROUNDS + 1)][1:]


@contextmanager
def _enrolled(operator: httpx.Client, url: str) -> Iterator[Sequence[VotingClient]]:
    """Organisations whose admissions are sealed."""
    head = operator.get("blockchain/head").raise_for_status().json()
    clients = [VotingClient(url, f"org-{number}") for number in range(ORGANIZATIONS)]
    try:
        for height, client in enumerate(clients, start=head["height"] + 1):
            client.enrol(head["chain_id"])
            eventually(
                lambda height=height: operator.get("blockchain/head").json()["height"] >= height,  # type: ignore[misc]
                what=f"{client.org_id} is admitted",
            )
        yield clients
    finally:
        for client in clients:
            client.leave()


def _round(operator: httpx.Client, clients: Sequence[VotingClient], number: int) -> float:
    """Seconds that one round takes from the last submission to the sealed block."""
    started = operator.post("federation/round/start", json={"min_orgs_required": ORGANIZATIONS}).raise_for_status()
    status = f"federation/round/{started.json()['round_id']}/status"
    rng = np.random.default_rng(number)
    requests = [
        client.prepare({"weights": rng.integers(-1000, 1000, PARAMETERS, dtype=np.int32)}) for client in clients
    ]
    for client, request in zip(clients[:-1], requests[:-1], strict=True):
        client.submit(request)
    start = time.perf_counter()
    clients[-1].submit(requests[-1])
    while (answer := operator.get(status).raise_for_status().json())["status"] not in {"completed", "failed"}:
        time.sleep(0.01)
    seconds = time.perf_counter() - start
    if answer["status"] == "failed":
        raise RuntimeError(f"the round failed: {answer['failure_code']}: {answer['failure_reason']}")
    return seconds
