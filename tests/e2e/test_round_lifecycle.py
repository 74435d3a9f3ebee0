"""A round from its start to its block: real processes, real HTTP, real agents, on both pairs."""

import httpx

from models_ml.registry import EDGE_NORMALISER
from tests.e2e.federation import Federation
from tests.support.processes import API


def test_a_round_ends_in_one_block_that_its_organisations_approved(federation: Federation) -> None:
    round_id = federation.start_round()
    assert federation.finish(round_id) == "completed"
    assert federation.releases().count(round_id) == 1

    release = federation.chain()[-1].provenance
    assert release is not None
    assert release.round_id == round_id
    assert release.training_orgs == tuple(sorted(member.org_id for member in federation.members))
    verified = federation.verify_chain()
    assert verified["chain_valid"]
    assert verified["blocks_verified"] == len(federation.chain())


def test_every_organisation_holds_the_released_model_on_a_chain_that_it_verified(federation: Federation) -> None:
    round_id = federation.start_round()
    federation.finish(round_id)
    head = federation.get("blockchain/head")
    released = federation.chain()[-1]
    for member in federation.members:
        member.step()
        state = member.agent.state.chain()
        assert state is not None
        assert (state.height, state.block_hash) == (head["height"], head["block_hash"])
        newest = member.agent.state.newest_release(EDGE_NORMALISER)
        assert newest is not None
        assert newest.model_hash == released.model_hash


def test_a_round_builds_on_the_one_before(federation: Federation) -> None:
    for _ in range(2):
        assert federation.finish(federation.start_round()) == "completed"
    earlier, later = federation.chain()[-2:]
    assert later.provenance is not None
    assert later.provenance.parent_model_hash == earlier.model_hash


def test_one_round_at_a_time(federation: Federation) -> None:
    round_id = federation.start_round()
    again = httpx.post(
        f"{federation.coordinator.url}{API}/federation/round/start", json={"model": EDGE_NORMALISER}, timeout=20
    )
    assert again.status_code == 409
    assert again.json()["action"]
    assert federation.finish(round_id) == "completed"


def test_a_second_coordinator_on_the_same_folder_is_refused(federation: Federation) -> None:
    second = federation.coordinator.manage("up", check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert federation.coordinator.answers()
