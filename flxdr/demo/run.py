"""The demo from its empty folder to its result."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flxdr.demo import checks, federation, picture, sight
from flxdr.demo.checks import Check
from flxdr.demo.coordinator import Operator
from flxdr.demo.detections import Detections, detect
from flxdr.demo.errors import DemoFailed
from flxdr.demo.evaluation import Comparison, compare
from flxdr.demo.federation import Plan
from flxdr.demo.processes import Processes, run
from flxdr.demo.records import OrganizationFiles, describe_split, divide_captures, generate
from flxdr.demo.screen import Screen
from models_ml import codec
from models_ml.bound_model import BoundModel
from models_ml.local_trainer import LocalConfig
from models_ml.registry import EDGE_NORMALISER, RL_POLICY, TGNN

DETECTOR = Plan(
    TGNN,
    rounds=10,
    local=LocalConfig(epochs=2, batch_size=128, learning_rate=0.01, proximal_mu=0.01),
    what="train the temporal graph network that detects",
)
RESPONSE = Plan(
    RL_POLICY,
    rounds=3,
    local=LocalConfig(epochs=1, batch_size=256, learning_rate=0.001, proximal_mu=0.0),
    what="train the policy that recommends responses",
)
OPERATOR_NAME = "operator"
MARKER = ".flxdr-demo"
SIGHT = {
    "plain": ("the server read every organisation's update: it could check them, and compare them with each other",),
    "secagg": (
        "the server could see: who took part, sample counts, metrics, the sum of all updates, the released model",
        "the server could not see: any single update; each was masked by its organisation, and only the sum unmasked",
    ),
    "paillier": (
        "the server could see: who took part, sample counts, metrics, the sum of all updates, the released model",
        "the server could not see: any single update; each was masked, and encrypted under a key of the organisations",
        "the sum was added up encrypted; an organisation opened it, and every organisation verified opening and model",
    ),
}


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        folder: where everything goes.
        data: a folder with real captures; None for generated records.
        keep: go on with what a former demo left in `folder`.
        protection: of every round's updates.
        leave: end when the result is there; else the coordinator and the agents go on until Ctrl-C.
        port: where the coordinator serves, if the port is free.
        project: the folder of manage.py.
    """

    folder: Path
    data: Path | None
    keep: bool
    protection: str
    leave: bool
    port: int
    project: Path


def run_demo(options: Options, screen: Screen) -> bool:
    """Run the whole demo; whether every check held.

    Raises:
        DemoFailed: a part of it ended, or did not do its work in time.
        Missing: the data folder lacks what the demo needs.
    """
    began = time.monotonic()
    clear(options)
    port = _port(options)
    with (
        Processes(options.folder / "logs") as processes,
        contextlib.closing(Operator(f"http://localhost:{port}")) as operator,
    ):
        demo = _Demo(options, screen, processes, operator, port)
        demo.divide_records()
        demo.start_coordinator()
        demo.enrol()
        rounds = demo.train()
        comparison = demo.compare()
        detections = demo.detect()
        found = demo.check(comparison, rounds, detections)
        demo.state_privacy(rounds)
        demo.write_result(comparison, found, rounds, time.monotonic() - began)
        if not options.leave:
            demo.stay()
    return all(check.holds for check in found)


class _Demo:
    """The demo's steps, in order."""

    def __init__(self, options: Options, screen: Screen, processes: Processes, operator: Operator, port: int) -> None:
        self._options = options
        self._screen = screen
        self._processes = processes
        self._operator = operator
        self._url = f"http://localhost:{port}"
        self._environment = _environment(options, port)
        self._manage = [sys.executable, str(options.project / "manage.py")]
        self._real = options.data is not None
        self._files: dict[str, OrganizationFiles] = {}
        self._password = secrets.token_urlsafe(12)

    def divide_records(self) -> None:
        self._screen.step("1. Flow records of five organisations")
        folder = self._options.folder / "organizations"
        self._files = divide_captures(self._options.data, folder) if self._options.data else generate(folder)
        for name, organization in self._files.items():
            counts = organization.read_train().family_counts()
            families = ", ".join(f"{count} {family}" for family, count in counts.items())
            self._screen.note(f"{name}: {sum(counts.values())} flows to train on ({families})")
        self._screen.note(describe_split(real=self._real))

    def start_coordinator(self) -> None:
        self._screen.step("2. The coordinator: web, worker and beat")
        self._processes.start("coordinator", [*self._manage, "up"], self._environment)
        self._processes.wait_for(self._operator.is_up, what=f"{self._url} answers", seconds=90)
        self._screen.note(f"serves {self._url}")
        name = ["--username", OPERATOR_NAME, "--email", "operator@localhost"]
        if not self._options.keep:
            run(
                [*self._manage, "createsuperuser", "--no-input", *name],
                {**self._environment, "DJANGO_SUPERUSER_PASSWORD": self._password},
            )

    def enrol(self) -> None:
        self._screen.step("3. Five agents enrol; the members admit them one after the other")
        records = {name: file.train for name, file in self._files.items()}
        federation.enrol(self._homes, records, self._url, self._environment)
        federation.start_agents(self._processes, self._homes, self._environment)
        with self._screen.bar("members", len(self._homes)) as show:
            federation.wait_for_members(self._processes, self._operator, len(self._homes), show)

    @property
    def _homes(self) -> dict[str, Path]:
        return {name: self._options.folder / "organizations" / name / "agent" for name in self._files}

    def train(self) -> list[str]:
        """The ids of all rounds."""
        self._screen.step("4. One round pools the moments of the features")
        first = federation.normalise(self._processes, self._operator, len(self._files))
        rounds = [first]
        for number, plan in enumerate((DETECTOR, RESPONSE), start=5):
            self._screen.step(f"{number}. {plan.rounds} rounds {plan.what}")
            with self._screen.campaign(plan.rounds) as show:
                rounds += federation.campaign(
                    self._processes, self._operator, organizations=len(self._files), plan=plan, show=show
                )
        return rounds

    def compare(self) -> Comparison:
        self._screen.step("7. Detection alone, together, and with all records in one place")
        model, normaliser = (
            codec.decode(self._operator.model_file(self._operator.released_model(name)["model_hash"]))
            for name in (DETECTOR.model, EDGE_NORMALISER)
        )
        bound = BoundModel(DETECTOR.model, model, {EDGE_NORMALISER: normaliser})
        comparison = compare(self._files, model=bound, local=DETECTOR.local, rounds=DETECTOR.rounds)
        self._screen.table(comparison.rows(), f"on the {comparison.flows} test flows of all organisations")
        if comparison.unknown:
            self._screen.note(f"{comparison.unknown} of these flows are of a family that no organisation trained on")
        return comparison

    def detect(self) -> list[Detections]:
        """Every organisation's alerts on its own test flows."""
        self._screen.step("8. What each organisation's agent detects on its own test flows, and what it advises")
        found = [detect(name, self._homes[name], file.test, self._environment) for name, file in self._files.items()]
        self._screen.detections(found)
        return found

    def check(self, comparison: Comparison, rounds: list[str], detections: Sequence[Detections]) -> list[Check]:
        self._screen.step("9. Checks")
        federated, alone = (row["macro_binary_f1"] for row in (comparison.federated, comparison.alone_mean))
        found = [
            checks.gain(federated, alone, real=self._real),
            checks.chain(json.loads(run([*self._manage, "verify_chain", "--json"], self._environment))),
            checks.quorum(self._operator.blocks(), rounds),
            checks.vouched(detections, self._operator.released_model(DETECTOR.model)),
        ]
        self._screen.checks(found)
        return found

    def state_privacy(self, rounds: list[str]) -> None:
        """Say plainly what protects the organisations in these rounds, from what the coordinator reports and holds."""
        budget = self._operator.budget()
        releases = [block.header.provenance for block in self._operator.blocks() if block.header.provenance]
        mechanisms = {str(release.privacy["mechanism"]) for release in releases}
        self._screen.step("Privacy in force: what the server could see, and what not")
        self._screen.note("flow records stayed with their organisations")
        for line in SIGHT[self._options.protection]:
            self._screen.note(line)
        held = sight.held_updates(self._options.folder / "coordinator", rounds[-1])
        self._screen.note(
            "what it holds of the last round's updates: "
            + ", ".join(f"{each.org_id} {each.size} bytes, {each.bits_per_byte:.2f} bits a byte" for each in held)
            + " (8.00: nothing but noise to whoever reads it)"
        )
        self._screen.note(f"noise mechanism of the sealed rounds: {', '.join(sorted(mechanisms))}")
        self._screen.note(f"budget used: {budget['epsilon_used']} of epsilon {budget['epsilon_total']}")
        if mechanisms == {"none"}:
            self._screen.note("no noise was added, so nothing was charged and there is no differential privacy here")

    def write_result(self, comparison: Comparison, found: list[Check], rounds: list[str], seconds: float) -> None:
        result: dict[str, Any] = {
            "data": "real captures" if self._real else "generated records",
            "split": describe_split(real=self._real),
            "protection": self._options.protection,
            "rounds": rounds,
            "plans": [asdict(plan) for plan in (DETECTOR, RESPONSE)],
            "seconds": round(seconds, 1),
            "test_flows": {"all": comparison.flows, "of_families_that_nobody_trained_on": comparison.unknown},
            "figures": comparison.rows(),
            "checks": [asdict(check) for check in found],
        }
        place = self._options.folder / "result.json"
        place.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        caption = f"{result['data']}, {comparison.flows} test flows, {len(rounds)} rounds of {len(self._files)} agents"
        place.with_suffix(".svg").write_text(picture.draw(comparison.rows(), caption=caption), encoding="utf-8")
        self._screen.note(f"{seconds:.0f} seconds; figures in {place}, drawn in {place.with_suffix('.svg').name}")

    def stay(self) -> None:
        """Leave everything running until Ctrl-C."""
        login = f"log in as {OPERATOR_NAME} with {self._password}" if not self._options.keep else "log in as before"
        self._screen.step(f"Dashboard {self._url}/   {login}   (Ctrl-C ends the demo)")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self._processes.require_alive()
                time.sleep(1)


def clear(options: Options) -> None:
    """An empty folder, unless its content is to be kept. Nothing is removed that no demo has made."""
    marker = options.folder / MARKER
    if options.folder.exists() and not options.keep:
        if any(options.folder.iterdir()) and not marker.exists():
            raise DemoFailed(f"{options.folder} was not made by a demo", action="Move it away, or set FL_DATA_DIR.")
        shutil.rmtree(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)


def _port(options: Options) -> int:
    """The port of the coordinator; it is remembered for a demo that goes on, since the agents know its address."""
    marker = options.folder / MARKER
    if marker.exists():
        return int(marker.read_text())
    port = options.port if _is_free(options.port) else any_port()
    marker.write_text(f"{port}\n")
    return port


def _environment(options: Options, port: int) -> dict[str, str]:
    """An embedded coordinator of its own, whatever database and queue the shell names."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return {
        **inherited,
        "FL_ENV": "development",
        "FL_DATA_DIR": str(options.folder / "coordinator"),
        "FL_PROTECTION": options.protection,
        "BACKEND_HOST": "127.0.0.1",
        "BACKEND_PORT": str(port),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
