"""The federation's part of the demo: organisations enrol and are admitted, then train together."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flxdr.demo.coordinator import OPEN, Operator
from flxdr.demo.errors import DemoFailed
from flxdr.demo.processes import Processes, run
from models_ml.local_trainer import LocalConfig
from models_ml.registry import EDGE_NORMALISER
from models_ml.validation import TOLERANCE

ADMISSION_SECONDS = 120
ROUND_SECONDS = 180
AGENT = str(Path(sys.executable).with_name("flxdr-agent"))

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """A campaign of the demo.

    Attributes:
        model: what is trained.
        rounds: how many.
        local: how the organisations train in each.
        what: the campaign in words.
    """

    model: str
    rounds: int
    local: LocalConfig
    what: str


@dataclass(frozen=True)
class RoundProgress:
    """A round as it goes: which of how many, and how many updates are in."""

    number: int
    rounds: int
    phase: str
    submitted: int
    expected: int


def enrol(homes: Mapping[str, Path], records: Mapping[str, Path], url: str, environment: Environment) -> None:
    """Make every organisation's agent, let each know the others' keys, and register all of them.

    The key ids go from hand to hand here, as real organisations exchange theirs outside the system: an agent approves
    the admission of exactly the peers whose keys it was told. Agents that a former demo left are taken as they are.
    """
    if all(home.exists() for home in homes.values()):
        return
    key_ids = {}
    for organization, home in homes.items():
        answer = run(
            [AGENT, "init", "--home", str(home), "--org-id", organization, "--name", _title(organization),
             "--coordinator", url, "--data", str(records[organization]), "--admissions", "pinned",
             "--tolerance", str(TOLERANCE), "--json"],
            environment,
        )  # fmt: skip
        key_ids[organization] = json.loads(answer)["key_id"]
    for organization, home in homes.items():
        with (home / "peers").open("a", encoding="utf-8") as peers:
            peers.writelines(f"{key_id}  # {name}\n" for name, key_id in key_ids.items() if name != organization)
    for home in homes.values():
        run([AGENT, "enrol", "--home", str(home), "--json"], environment)


def start_agents(processes: Processes, homes: Mapping[str, Path], environment: Environment) -> None:
    """Start every organisation's agent: from here on they train, submit, check and vote by themselves."""
    for organization, home in homes.items():
        processes.start(organization, [AGENT, "run", "--home", str(home), "--json"], environment)


def wait_for_members(processes: Processes, operator: Operator, expected: int, show: Callable[[int], None]) -> None:
    """Return when the chain has `expected` members; every admission was approved by the members before it."""

    def look() -> bool:
        members = operator.members()
        show(members)
        return members == expected

    processes.wait_for(look, what=f"{expected} organisations are admitted to the chain", seconds=ADMISSION_SECONDS)


def normalise(processes: Processes, operator: Operator, organizations: int) -> str:
    """One exact round in which the organisations pool the moments of their features; the round's id."""
    started = operator.start_round(
        model=EDGE_NORMALISER,
        aggregation_method="FedAvg",
        weighting="samples",
        min_orgs_required=organizations,
        timeout=ROUND_SECONDS,
    )
    _await_end(processes, operator, started["round_id"], lambda _status: None)
    return str(started["round_id"])


def campaign(
    processes: Processes,
    operator: Operator,
    *,
    organizations: int,
    plan: Plan,
    show: Callable[[RoundProgress], None],
) -> list[str]:
    """Run a campaign to its end; the rounds' ids."""
    local, rounds = plan.local, plan.rounds
    identity = operator.start_campaign(
        model=plan.model,
        rounds=rounds,
        aggregation_method="FedProx",
        aggregation_params={"lambda_ppm": 0},
        weighting="equal",
        min_orgs_required=organizations,
        timeout=ROUND_SECONDS,
        local={
            "epochs": local.epochs,
            "batch_size": local.batch_size,
            "learning_rate_ppm": round(local.learning_rate * 1e6),
            "proximal_ppm": round(local.proximal_mu * 1e6),
        },
    )["id"]
    followed: list[str] = []
    while len(followed) < rounds:
        state = processes.wait_for(
            lambda: _next_state(operator, identity, len(followed)),
            what=f"round {len(followed) + 1} of the campaign starts",
            seconds=ROUND_SECONDS,
        )
        round_id = state["rounds"][len(followed)]
        followed.append(round_id)

        def tell(status: Mapping[str, Any], number: int = len(followed)) -> None:
            show(RoundProgress(number, rounds, status["phase"], status["orgs_submitted"], status["orgs_expected"]))

        _await_end(processes, operator, round_id, tell)
    processes.wait_for(
        lambda: operator.campaign(identity)["status"] == "completed", what="the campaign completes", seconds=30
    )
    return followed


def _next_state(operator: Operator, identity: int, known: int) -> Mapping[str, Any] | None:
    state = operator.campaign(identity)
    if state["status"] == "stopped":
        raise DemoFailed(f"the campaign stopped: {state['stop_reason']}")
    return state if len(state["rounds"]) > known else None


def _await_end(
    processes: Processes, operator: Operator, round_id: str, tell: Callable[[Mapping[str, Any]], None]
) -> None:
    def look() -> Mapping[str, Any] | None:
        status = operator.round_status(round_id)
        tell(status)
        return None if status["status"] in OPEN else status

    ended = processes.wait_for(look, what=f"{round_id} ends", seconds=2 * ROUND_SECONDS)
    if ended["status"] != "completed":
        raise DemoFailed(f"{round_id} failed: {operator.why_failed(round_id)}")


def _title(organization: str) -> str:
    return organization.replace("-", " ").capitalize()
