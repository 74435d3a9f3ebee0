"""Organisations without keys that do nothing but submit, many at once, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.faults.books import Books
from tests.support.processes import API, Coordinator, eventually

MODEL = "global"
VALUES = 64
TOKENS = """
from datetime import timedelta
from flxdr.core.clock import SystemClock
from flxdr.platform.auth.tokens import ORGANIZATION, issue_token
from flxdr.platform.identity import coordinator_key
key, now = coordinator_key(), SystemClock().now()
for name in {names}:
    print("token", issue_token(key=key, subject=name, role=ORGANIZATION, lifetime=timedelta(days=1), now=now))
"""


@dataclass
class Crowd:
    """Organisations and their tokens.

    Attributes:
        outcomes: of their submissions, by status.
    """

    coordinators: Sequence[Coordinator]
    tokens: dict[str, str]
    outcomes: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, coordinators: Sequence[Coordinator], count: int) -> Crowd:
        """Register so many, and let the coordinator issue their tokens."""
        first = coordinators[0]
        names = [f"org-{number:03}" for number in range(count)]
        with httpx.Client(base_url=f"{first.url}{API}/", timeout=60) as client:
            for name in names:
                client.post("federation/register", json={"org_id": name, "org_name": name}).raise_for_status()
        printed = first.manage("shell", "--no-imports", "-c", TOKENS.format(names=names)).stdout.splitlines()
        tokens = [line.split()[1] for line in printed if line.startswith("token ")]
        return cls(coordinators, dict(zip(names, tokens, strict=True)))

    @property
    def books(self) -> Books:
        return Books(self.coordinators[0])

    def post(self, path: str, **fields: object) -> dict[str, object]:
        """Ask the first coordinator as its operator."""
        answer = httpx.post(f"{self.coordinators[0].url}{API}/{path}", json=fields, timeout=60)
        answer.raise_for_status()
        document: dict[str, object] = answer.json()
        return document

    def submit(self, client: httpx.Client, number: int, name: str, round_id: str) -> bool:
        """Submit to one of the coordinators, each in turn; whether the update is in."""
        url = self.coordinators[number % len(self.coordinators)].url
        value = 0.001 * (1 + hash(name) % 7)
        gradient = {"model_weights": [value] * VALUES, "shape": [VALUES], "samples_seen": 100}
        body = {"round_id": round_id, "org_id": name, "gradient": gradient, "metrics": {"loss": 0.5}}
        headers = {"Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json"}
        outcome = "broken"
        with contextlib.suppress(httpx.TransportError):
            outcome = str(
                client.post(
                    f"{url}{API}/federation/round/submit-gradient", content=json.dumps(body), headers=headers
                ).status_code
            )
        with self._lock:
            self.outcomes[outcome] += 1
        return outcome in ("200", "201")

    def one_round(self, round_id: str, *, at_once: int) -> None:
        """Everybody submits, `at_once` of them at any moment; returns when the round has ended."""
        with httpx.Client(timeout=120) as client, ThreadPoolExecutor(at_once) as pool:
            accepted = pool.map(
                lambda numbered: self.submit(client, numbered[0], numbered[1], round_id), enumerate(self.tokens)
            )
            assert all(accepted), self.outcomes
        eventually(
            lambda: self.books.status(round_id) not in ("in_progress", "aggregating", "verifying"),
            what=f"{round_id} ends",
            timeout=300,
        )

    def campaign(self, rounds: int, *, timeout: float) -> None:
        """Run a campaign; every organisation submits to whatever round is open, all of them at once."""
        self.post("federation/campaign/start", model=MODEL, rounds=rounds, min_orgs_required=len(self.tokens))
        ended = threading.Event()

        def serve(number: int, name: str) -> None:
            done: set[str] = set()
            with httpx.Client(timeout=120) as client:
                while not ended.is_set():
                    for _, round_id, status in self.books.rounds(MODEL)[-1:]:
                        if (
                            status == "in_progress"
                            and round_id not in done
                            and self.submit(client, number, name, round_id)
                        ):
                            done.add(round_id)
                    ended.wait(0.05)

        threads = [threading.Thread(target=serve, args=each, daemon=True) for each in enumerate(self.tokens)]
        for thread in threads:
            thread.start()
        try:
            eventually(
                lambda: not self.books.rows("SELECT 1 FROM federation_campaign WHERE status = 'running'"),
                what="the campaign ends",
                timeout=timeout,
                every=0.5,
            )
        finally:
            ended.set()
            for thread in threads:
                thread.join(150)

    def check(self, rounds: int) -> None:
        """Every round completed once, with everybody's update, on one chain."""
        made = self.books.rounds(MODEL)
        assert [number for number, _, _ in made] == list(range(1, rounds + 1))
        assert {status for _, _, status in made} == {"completed"}
        for _, round_id, _ in made:
            assert sorted(self.books.submissions(round_id)) == sorted(self.tokens)
            assert self.books.blocks(round_id) == 1
            assert self.books.transitions(round_id) == ["aggregating", "verifying", "completed"]
        assert self.books.versions(MODEL) == list(range(1, rounds + 1))
        verified = json.loads(self.coordinators[0].manage("verify_chain", "--json").stdout)
        assert verified["chain_valid"]
