"""`kill -9` of any part in the middle of a round: the round ends once, and nothing is aggregated twice."""

import pytest

from tests.e2e.federation import Federation
from tests.support.processes import eventually


@pytest.mark.parametrize("victim", ["worker", "web", "beat"])
def test_between_two_submissions(federation: Federation, victim: str) -> None:
    round_id = federation.start_round()
    federation.members[0].step()
    killed = federation.coordinator.kill(victim)
    assert federation.finish(round_id) == "completed"
    _ended_once(federation, round_id)
    assert eventually(lambda: federation.coordinator.pid(victim), what=f"{victim} runs again") != killed


@pytest.mark.parametrize("victim", ["worker", "web"])
def test_right_after_the_last_submission(federation: Federation, victim: str) -> None:
    """The message that asks for the aggregation may be lost, half done, or done: the row decides."""
    round_id = federation.start_round()
    for member in federation.members:
        member.step()
    federation.coordinator.kill(victim)
    assert federation.finish(round_id) == "completed"
    _ended_once(federation, round_id)


@pytest.mark.parametrize("victim", ["worker", "web"])
def test_between_two_approvals(federation: Federation, victim: str) -> None:
    round_id = federation.start_round()
    for member in federation.members:
        member.step()
    eventually(lambda: federation.status(round_id) == "verifying", what="the model is proposed", timeout=60)
    federation.members[0].step()
    federation.coordinator.kill(victim)
    assert federation.finish(round_id) == "completed"
    _ended_once(federation, round_id)


def test_the_supervisor_and_a_new_one_in_its_place(federation: Federation) -> None:
    round_id = federation.start_round()
    federation.members[0].step()
    family = federation.coordinator.processes()
    federation.coordinator.kill("supervisor")
    eventually(lambda: not any(process.is_running() for process in family), what="no orphan is left", timeout=60)
    federation.coordinator.start()
    federation.coordinator.wait_ready()
    assert federation.finish(round_id) == "completed"
    _ended_once(federation, round_id)


def test_a_second_coordinator_on_the_same_folder_is_refused(federation: Federation) -> None:
    second = federation.coordinator.manage("up", check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert federation.coordinator.answers()


def _ended_once(federation: Federation, round_id: str) -> None:
    assert federation.releases().count(round_id) == 1
    assert federation.verify_chain()["chain_valid"]
    versions = [
        (model["version"], model["status"]) for model in federation.get("federation/models?limit=100")["models"]
    ]
    assert sorted(version for version, status in versions if status == "released") == list(range(1, len(versions)))
