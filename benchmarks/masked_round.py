"""What protection adds to a round: from its start to the proposed model, masked, encrypted and in the clear.

Five organisations with running agents and 80,000 parameters, on the embedded default: SQLite, files as the queue, real
processes. Rounds of the three protections take turns. Training takes no time (`benchmarks.masked_agent`); everything
else is the product's: long polls, signatures, masks, encryption, openings, the work of the coordinator's worker.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.masked_agent import MODEL_NAME, SAMPLES
from benchmarks.measure import Row, versions
from tests.agent.flows import write_flows
from tests.support.processes import API, REPOSITORY, Coordinator, eventually

ORGANIZATIONS = 5
PARAMETERS = 80_000
ROUNDS = 5
LIMITS = {"secagg": 1.0, "paillier": 60.0}
ROUND_SECONDS = 300
SETTLE_SECONDS = 3
"""After a release agents verify, cosign and attest it; a round that is timed starts when they wait for one again."""
PLAIN = "plain"
SEED = "seed"
PROPOSED = ("verifying", "completed")


def rows(parameters: int = PARAMETERS, rounds: int = ROUNDS) -> list[Row]:
    """`masked.round.80k.*`: the seconds that a protection adds to the median round."""
    with (
        tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder,
        Coordinator(Path(folder) / "data", {"FL_TWO_PERSON": "false"}) as coordinator,  # the script is one person
        httpx.Client(base_url=f"{coordinator.url}{API}/", timeout=30, trust_env=False) as operator,
    ):
        _found_model(coordinator, operator, parameters)
        with _agents(coordinator, operator, Path(folder)):
            measured = _measure(operator, rounds)
    plain = statistics.median(measured[PLAIN])
    return [
        Row(
            name=f"masked.round.{parameters // 1000}k.{protection}_adds",
            ours=round(statistics.median(measured[protection]) - plain, 3),
            peer=None,
            ratio=None,
            unit="s",
            limit=limit,
            limit_ratio=None,
            note=f"medians of {rounds} rounds: {statistics.median(measured[protection]):.2f} s "
            f"({min(measured[protection]):.2f} to {max(measured[protection]):.2f}), plain {plain:.2f} s "
            f"({min(measured[PLAIN]):.2f} to {max(measured[PLAIN]):.2f}); from start to proposal, {ORGANIZATIONS} "
            f"agents that poll, {parameters} parameters, `manage.py up` on SQLite and files; "
            f"{versions('django', 'celery', 'cryptography', 'gmpy2')}",
        )
        for protection, limit in LIMITS.items()
    ]


def _found_model(coordinator: Coordinator, operator: httpx.Client, parameters: int) -> None:
    """Release a first model of that size: an organisation that then leaves submits it."""
    operator.post("federation/register", json={"org_id": SEED, "org_name": SEED}).raise_for_status()
    started = operator.post("federation/round/start", json={"min_orgs_required": 1}).raise_for_status().json()
    update = {"model_weights": [0.0] * parameters, "shape": [parameters], "samples_seen": SAMPLES}
    token = coordinator.manage("issue_token", SEED).stdout.split()[-1]
    operator.post(
        "federation/round/submit-gradient",
        json={"round_id": started["round_id"], "org_id": SEED, "gradient": update, "metrics": {}},
        headers={"Authorization": f"Bearer {token}"},
    ).raise_for_status()
    _await_status(operator, started["round_id"], ("completed",))
    operator.post(f"federation/organizations/{SEED}/suspend", json={}).raise_for_status()


@contextmanager
def _agents(coordinator: Coordinator, operator: httpx.Client, folder: Path) -> Iterator[None]:
    """The organisations' agents, running, once all of them are members."""
    homes = [folder / f"org-{number}" for number in range(ORGANIZATIONS)]
    height = _height(operator)
    with ExitStack() as stack:
        for number, home in enumerate(homes):
            flows = write_flows(folder / f"{home.name}.csv", seed=number)
            named = ["--org-id", home.name, "--name", home.name, "--coordinator", coordinator.url, "--data", str(flows)]
            _agent(coordinator, home, "init", *named, "--admissions", "auto", "--model", MODEL_NAME).wait()
            _agent(coordinator, home, "enrol").wait()
            running = _agent(coordinator, home, "run")
            stack.callback(running.wait)
            stack.callback(running.terminate)
            eventually(
                lambda admitted=height + number + 1: _height(operator) == admitted,  # type: ignore[misc]
                what=f"{home.name} is admitted",
                timeout=60,
            )
        yield


def _agent(coordinator: Coordinator, home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with home.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.masked_agent", *arguments, "--home", str(home)],
            env=coordinator.environment,
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )


def _height(operator: httpx.Client) -> int:
    return int(operator.get("blockchain/head").raise_for_status().json()["height"])


def _measure(operator: httpx.Client, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, by protection; a first one of each warms up."""
    measured: dict[str, list[float]] = {PLAIN: [], **{protection: [] for protection in LIMITS}}
    for number in range(rounds + 1):
        for protection, seconds in measured.items():
            took = _round(operator, protection)
            if number:
                seconds.append(took)
    return measured


def _round(operator: httpx.Client, protection: str) -> float:
    """Seconds from a round's start to its proposal; returns when its model is released."""
    parameters = {"aggregation_method": "FedAvg", "min_orgs_required": ORGANIZATIONS, "protection": protection}
    time.sleep(SETTLE_SECONDS)
    begun = time.perf_counter()
    started = operator.post("federation/round/start", json=parameters).raise_for_status().json()
    _await_status(operator, started["round_id"], PROPOSED)
    seconds = time.perf_counter() - begun
    _await_status(operator, started["round_id"], ("completed",))
    return seconds


def _await_status(operator: httpx.Client, round_id: str, wanted: Sequence[str]) -> None:
    def look() -> bool:
        answer = operator.get(f"federation/round/{round_id}/status").raise_for_status().json()
        if answer["status"] == "failed":
            raise RuntimeError(f"the round failed: {answer['failure_code']}: {answer['failure_reason']}")
        return answer["status"] in wanted

    eventually(look, what=f"{round_id} is {' or '.join(wanted)}", timeout=ROUND_SECONDS, every=0.02)
