"""A federation that faults are tried on, and what must hold after each of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from federation.agent.client import Backoff
from federation.agent.session import Surroundings
from flxdr.core.errors import FlxdrError
from models_ml.registry import EDGE_NORMALISER
from tests.e2e.federation import OPEN, Federation, running
from tests.e2e.recomputation import recomputed
from tests.faults import stops
from tests.faults.books import Books
from tests.faults.points import Point
from tests.faults.report import Note
from tests.faults.wire import CountingTransport, Wire
from tests.support.processes import API, Coordinator, eventually

MODEL = EDGE_NORMALISER
MEMBERS = 3
TIMEOUT = 300.0
"""Seconds that a disturbed round may take; a round that nobody disturbs takes about two."""
BASE = {"FL_PRIVACY_EPSILON": "1000", "FL_TRAINING_ROUNDS": "1000", "FL_MAX_ORG_FAILURE_RATE": "0"}
"""A budget for as many rounds as there are faults."""
WAYS = {"paillier": ("aggregating", "in_progress")}
"""What comes first where organisations are asked once more, to open the encrypted sums."""


@dataclass(frozen=True)
class Stand:
    """A federation whose coordinator can be stopped at a point, and whose wire is watched."""

    federation: Federation
    wire: Wire
    folder: Path
    books: Books

    @property
    def coordinator(self) -> Coordinator:
        return self.federation.coordinator

    def start_round(self, **choices: Any) -> str:
        """Start a round, as often as it takes until one is open; its id."""
        fields = {"model": MODEL, "aggregation_method": "FedAvg", "min_orgs_required": MEMBERS, "protection": "plain"}

        def attempt() -> str | None:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.post(
                    f"{self.coordinator.url}{API}/federation/round/start", json=fields | choices, timeout=60
                )
                if answer.status_code in (200, 201):
                    return str(answer.json()["round_id"])
                assert answer.status_code in (409, 503), answer.text
            return self.open_round()

        return eventually(attempt, what=f"a round starts\n{self.coordinator.tail()}", timeout=TIMEOUT, every=0.2)

    def open_round(self) -> str | None:
        """The round that is open now, by the database."""
        open_rounds = self.books.rows(f"SELECT round_id FROM federation_traininground WHERE status IN {OPEN}")
        return str(open_rounds[0][0]) if open_rounds else None

    def work(self) -> None:
        """Let every organisation do what is due; what a fault breaks is tried again at the next look."""
        for member in self.federation.members:
            with contextlib.suppress(FlxdrError):
                member.step()

    def finish(self, round_id: str) -> str:
        """Work until the round has ended; its status."""

        def ended() -> str | None:
            self.work()
            status = self.books.status(round_id)
            return None if status in OPEN else status

        return eventually(ended, what=f"{round_id} ends\n{self.coordinator.tail()}", timeout=TIMEOUT)

    def killed_at(self, point: Point, victim: str, note: Note, **choices: Any) -> str:
        """Interrupt a round at `point` by killing `victim`, and see it through; its id."""
        return self.survives(point, partial(stops.strike, self.coordinator, victim), note, **choices)

    def survives(self, point: Point, blow: Callable[[], None], note: Note, **choices: Any) -> str:
        """Do `blow` in the middle of a round, when a process has come to `point`, and see it through; its id.

        Notes the seconds from the blow to the round's end, and how the organisations' requests went meanwhile.
        """
        sent, disturbed = self.wire.sent, self.wire.disturbed
        with stops.struck(self.folder, point, blow) as thread:
            round_id = self.start_round(**choices)
            assert self.finish(round_id) == "completed"
            ended = time.monotonic()
        self.check(round_id)
        assert thread.struck_at is not None
        self._note(note, max(0.0, ended - thread.struck_at), sent, disturbed)
        return round_id

    def run_campaign(self, rounds: int) -> list[str]:
        """Run a campaign to its end, and check all of its rounds; their ids."""
        before = len(self.books.rounds(MODEL))

        def attempt() -> bool:
            with contextlib.suppress(httpx.TransportError):
                fields = {
                    "model": MODEL,
                    "rounds": rounds,
                    "min_orgs_required": MEMBERS,
                    "aggregation_method": "FedAvg",
                }
                answer = httpx.post(f"{self.coordinator.url}{API}/federation/campaign/start", json=fields, timeout=60)
                assert answer.status_code in (200, 201, 409, 503), answer.text
            return len(self.books.rounds(MODEL)) > before

        def ended() -> bool:
            self.work()
            return not self.books.rows("SELECT 1 FROM federation_campaign WHERE status = 'running'")

        eventually(attempt, what="the campaign starts", timeout=TIMEOUT, every=0.2)
        eventually(ended, what=f"the campaign ends\n{self.coordinator.tail()}", timeout=TIMEOUT + 60 * rounds)
        made = [(round_id, status) for _, round_id, status in self.books.rounds(MODEL)[before:]]
        assert [status for _, status in made] == ["completed"] * rounds
        for round_id, _ in made:
            self.check(round_id)
        return [round_id for round_id, _ in made]

    def campaign_killed_at(self, point: Point, victim: str, note: Note) -> None:
        """Interrupt a campaign of two rounds at `point` by killing `victim`, and see it through."""
        sent, disturbed = self.wire.sent, self.wire.disturbed
        with stops.struck(self.folder, point, partial(stops.strike, self.coordinator, victim)) as thread:
            self.run_campaign(2)
            ended = time.monotonic()
        assert thread.struck_at is not None
        self._note(note, max(0.0, ended - thread.struck_at), sent, disturbed)

    def _note(self, note: Note, recovery_seconds: float, sent: int, disturbed: int) -> None:
        note(
            survived=1,
            recovery_seconds=recovery_seconds,
            requests=self.wire.sent - sent,
            disturbed=self.wire.disturbed - disturbed,
            bytes_lost=self.wire.lost(self.coordinator.data_dir),
        )

    def model_of(self, round_id: str) -> str:
        """The hash of the model that a round released."""
        question = (
            "SELECT v.model_hash FROM federation_modelversion v "
            "JOIN federation_traininground r ON r.id = v.training_round_id WHERE r.round_id = ?"
        )
        ((model_hash,),) = self.books.rows(question, round_id)
        return str(model_hash)

    def recomputed(self, round_id: str) -> str:
        """The same, as one process alone finds it from what was submitted."""
        return recomputed(self.coordinator, round_id)

    def check(self, round_id: str) -> None:
        """A completed round: ended once, nothing counted twice, nothing lost, charged once, on a chain that holds."""
        assert not self.wire.outcomes["500"], self.coordinator.tail(200)
        members = sorted(member.org_id for member in self.federation.members)
        way = (*WAYS.get(self.books.protection(round_id), ()), "aggregating", "verifying", "completed")
        assert self.books.transitions(round_id) == list(way)
        assert self.books.blocks(round_id) == 1
        assert sorted(self.books.submissions(round_id)) == members
        charges = self.books.charges(round_id)
        assert sorted(charges) == members
        assert all(charge in (["reserved", "spent"], ["unprotected"]) for charge in charges.values()), charges
        versions = self.books.versions(self.books.model(round_id))
        assert versions == list(range(1, len(versions) + 1))
        assert self.wire.lost(self.coordinator.data_dir) == 0
        assert self.federation.get("blockchain/ledger/verify")["chain_valid"]


@contextlib.contextmanager
def standing(
    folder: Path, environment: Mapping[str, str], *, lease_seconds: float | None = stops.LEASE_SECONDS
) -> Iterator[Stand]:
    """A coordinator with three members; the settings are `environment` over `BASE`."""
    stop_folder = folder / "stops"
    settings = BASE | dict(environment) | stops.environment(stop_folder, lease_seconds=lease_seconds)
    wire = Wire()
    surroundings = Surroundings(transport=CountingTransport(wire), backoff=Backoff(attempts=3, first=0.2, longest=1.0))
    with contextlib.ExitStack() as stack:
        coordinator = stack.enter_context(Coordinator(folder / "state", settings))
        federation = stack.enter_context(
            running(coordinator, folder / "organizations", members=MEMBERS, surroundings=surroundings)
        )
        yield Stand(federation, wire, stop_folder, Books(coordinator))
