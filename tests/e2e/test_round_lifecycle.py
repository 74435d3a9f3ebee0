"""A round from its start to its block: real processes, real HTTP, real agents, on both pairs."""

import httpx

from models_ml.registry import EDGE_NORMALISER
from tests.e2e.federation import Federation
from tests.support.processes import API


def test_a_round_ends_in_one_block_that_its_organisations_approved(federation: Federation) -> None:
    round_id = federation.start_round()
    assert federation.finish(round_id) == "completed"
    assert federation.releases() == [round_id]

    release = federation.chain()[-1].provenance
    assert release is not None
    assert release.training_orgs == tuple(sorted(member.org_id for member in federation.members))
    verified = federation.verify_chain()
    assert verified["chain_valid"]
    assert verified["blocks_verified"] == len(federation.chain())


def test_every_organisation_holds_the_released_model_on_a_chain_that_it_verified(federation: Federation) -> None:
    federation.finish(federation.start_round())
    head = federation.get("blockchain/head")
    for member in federation.members:
        member.step()
        state = member.agent.state.chain()
        assert state is not None
        assert (state.height, state.block_hash) == (head["height"], head["block_hash"])
        newest = member.agent.state.newest_release(EDGE_NORMALISER)
        assert newest is not None
        assert newest.model_version == 1


def test_a_second_round_builds_on_the_first(federation: Federation) -> None:
    for _ in range(2):
        assert federation.finish(federation.start_round()) == "completed"
    releases = [header for header in federation.chain() if header.provenance is not None]
    assert len(releases) == 2
    assert releases[1].provenance is not None
    assert releases[1].provenance.parent_model_hash == releases[0].model_hash


def test_one_round_at_a_time(federation: Federation) -> None:
    federation.start_round()
    again = httpx.post(
        f"{federation.coordinator.url}{API}/federation/round/start", json={"model": EDGE_NORMALISER}, timeout=20
    )
    assert again.status_code == 409
    assert again.json()["action"]
