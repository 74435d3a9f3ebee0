"""The ledger's operations, by everybody who may call them and some who may not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.clock import SystemClock
from ledger import selectors
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from ledger.models import Approval, Proposal
from ledger.services import passes, verified
from tests.api.callers import Caller, operator, organization, own_user, stranger
from tests.conftest import SentTasks
from tests.ledger.chains import hash_of, key_of
from tests.ledger.members import Consortium, header_of, rejection_of, tamper
from tests.platform.directories import MemoryDirectory, registered

MEMBERS = ["org-a", "org-b", "org-c"]
READS = [
    "blockchain/ledger/blocks",
    "blockchain/ledger/block/1",
    "blockchain/ledger/verify",
    f"blockchain/provenance/{hash_of('global 1')}",
    "blockchain/ledger/export",
    "blockchain/head",
    "blockchain/blocks/5/envelope",
    "blockchain/proposals",
    "blockchain/proposals/{proposal}",
]
BLOCK_FIELDS = {"height", "timestamp", "model_hash", "signatures", "provenance"}
PROVENANCE_FIELDS = {"round_id", "model_version", "aggregation_method", "training_orgs"}


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    with registered(MemoryDirectory(active={*MEMBERS, "org-d", "org-x"})):
        yield


@pytest.fixture
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, releases at 4 and 5; the present time, because the API has no other"""
    consortium.clock.advance(SystemClock().now() - consortium.clock.now())
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS)
    consortium.release(2, MEMBERS)
    consortium.clock.advance(SystemClock().now() - consortium.clock.now())
    return consortium


@pytest.fixture
def proposal(sealed: Consortium) -> Proposal:
    return sealed.countersign(sealed.propose_release(3, MEMBERS))


def _existing(path: str) -> str:
    return path.format(proposal=Proposal.objects.order_by("id").values_list("id", flat=True)[0])


def approval_of(proposal: Proposal, org_id: str, **changes: Any) -> dict[str, Any]:
    signature = dsse.sign(key_of(org_id), dsse.BLOCK_TYPE, header_of(proposal))
    return {
        "key_id": key_of(org_id).public.key_id,
        "signature": base64.b64encode(signature).decode(),
        **changes,
    }


def rejection_body(proposal: Proposal, org_id: str, reason: str) -> dict[str, Any]:
    signature = dsse.sign(key_of(org_id), dsse.REJECTION_TYPE, rejection_of(proposal, org_id, reason))
    return approval_of(proposal, org_id, signature=base64.b64encode(signature).decode(), reason=reason)


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("caller", "status"),
    [(operator, 200), (own_user, 200), (lambda: organization("org-a"), 200), (lambda: organization("org-x"), 200),
     (stranger, 401)],
    ids=["operator", "own user", "member", "organisation without a key", "stranger"],
)  # fmt: skip
@pytest.mark.usefixtures("sealed")
def test_who_reads(path: str, caller: Any, status: int) -> None:
    assert caller().get(_existing(path)).status_code == status


@pytest.mark.parametrize("path", READS)
@pytest.mark.usefixtures("sealed")
def test_unknown_parameters_are_refused(path: str) -> None:
    answer = operator().get(_existing(path), {"colour": "blue"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


@pytest.mark.usefixtures("sealed")
def test_blocks_have_the_guides_fields() -> None:
    answer = operator().get("blockchain/ledger/blocks", {"limit": 2, "offset": 1}).json()
    assert (answer["total"], answer["limit"], answer["offset"]) == (6, 2, 1)
    assert [block["height"] for block in answer["blocks"]] == [4, 3]
    release, admission = answer["blocks"]
    for block in (release, admission):
        assert set(block) >= BLOCK_FIELDS
        assert set(block["provenance"]) >= PROVENANCE_FIELDS
    assert set(release["signatures"]) == {"coordinator", *MEMBERS}
    assert release["provenance"]["round_id"] == "round-1-abc"
    assert release["provenance"]["round_number"] == 1
    assert release["provenance"]["model_version"] == "v1"
    assert admission["model_hash"] is None
    assert admission["governance"]["actions"][0]["org_id"] == "org-c"


@pytest.mark.usefixtures("sealed")
def test_signatures_are_base64_of_what_verifies() -> None:
    block = operator().get("blockchain/ledger/block/5").json()
    header = bytes(selectors.block_at(5).header)
    for org_id in MEMBERS:
        signature = base64.b64decode(block["signatures"][org_id])
        dsse.verify(key_of(org_id).public, signature, dsse.BLOCK_TYPE, header)


def test_an_approval_after_the_seal_is_a_late_one(consortium: Consortium) -> None:
    four = [*MEMBERS, "org-d"]
    consortium.admit(*four)
    proposal = consortium.release(1, four)
    for _ in range(2):
        answer = organization("org-d").post(
            f"blockchain/proposals/{proposal.pk}/approve", approval_of(proposal, "org-d")
        )
        assert (answer.status_code, answer.json()["status"]) == (200, "sealed")
        assert answer.json()["late_approvals"] == ["org-d"]
        assert "org-d" not in answer.json()["approvals"]
    (late,) = operator().get("blockchain/ledger/block/5").json()["late_approvals"]
    assert late["org_id"] == "org-d"
    (record,) = operator().get("blockchain/ledger/export", {"from": 5}).json()["records"]
    assert "org-d" not in {approval["org_id"] for approval in record["approvals"]}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("blockchain/ledger/block/99", "block_not_found"),
        (f"blockchain/ledger/block/{10**30}", "block_not_found"),
        ("blockchain/ledger/block/-1", "not_found"),
        ("blockchain/ledger/block/x", "not_found"),
        (f"blockchain/provenance/{hash_of('x')}", "model_not_released"),
        ("blockchain/provenance/abc", "model_not_released"),
        ("blockchain/provenance/%00", "model_not_released"),
        ("blockchain/proposals/999", "proposal_not_found"),
    ],
)
@pytest.mark.usefixtures("sealed")
def test_what_is_not_there(path: str, code: str) -> None:
    answer = operator().get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("blockchain/ledger/blocks", {"limit": 0}),
        ("blockchain/ledger/blocks", {"offset": -1}),
        ("blockchain/ledger/export", {"from": "x"}),
        ("blockchain/ledger/export", {"limit": 0}),
        ("blockchain/proposals", {"open": "yes"}),
    ],
)
@pytest.mark.usefixtures("sealed")
def test_parameters_out_of_bounds(path: str, query: dict[str, Any]) -> None:
    assert operator().get(path, query).json()["code"] == "invalid_parameter"


@pytest.mark.usefixtures("sealed")
def test_verify_on_a_valid_chain() -> None:
    answer = operator().get("blockchain/ledger/verify").json()
    assert answer["chain_valid"] is True
    assert answer["blocks_verified"] == 6
    assert answer["last_block_hash"] == selectors.head().block_hash
    assert answer["verification_timestamp"].endswith("Z")
    assert answer["unanchored"] == 6
    assert answer["first_bad"] is None


@pytest.mark.usefixtures("sealed")
def test_verify_names_what_is_wrong() -> None:
    tamper("UPDATE blocks SET model_hash = %s WHERE height = 4", hash_of("evil"))
    answer = operator().get("blockchain/ledger/verify")
    assert answer.status_code == 200
    assert answer.json()["chain_valid"] is False
    assert answer.json()["first_bad"] == {
        "height": 4,
        "code": "column_mismatch",
        "field": "model_hash",
        "expected": hash_of("global 1"),
        "actual": hash_of("evil"),
    }
    assert answer.json()["suspect_range"] == [4, 5]


@pytest.mark.usefixtures("sealed")
def test_verify_on_a_long_chain(monkeypatch: pytest.MonkeyPatch, sent_tasks: SentTasks) -> None:
    monkeypatch.setattr(verified, "WHOLE_UP_TO", 5)
    answer = operator().get("blockchain/ledger/verify").json()
    assert (answer["chain_valid"], answer["full_pass"], answer["verified_from"]) == (None, "requested", 0)
    passes.make_due_pass(clock=SystemClock())
    answer = operator().get("blockchain/ledger/verify", {"full": "true"}).json()
    assert (answer["chain_valid"], answer["full_pass"], answer["verified_from"]) == (True, "requested", 6)
    assert (answer["covers"], answer["full_pass_to"]) == ({"from": 0, "to": 5, "signatures_from": 0}, 5)
    assert answer["full_pass_at"] < answer["verification_timestamp"]


@pytest.mark.usefixtures("sealed")
def test_only_operators_order_a_full_pass() -> None:
    assert operator().get("blockchain/ledger/verify", {"full": "true"}).json()["chain_valid"] is True
    assert operator().get("blockchain/ledger/verify", {"full": "1"}).status_code == 400
    assert organization("org-a").get("blockchain/ledger/verify", {"full": "true"}).status_code == 403


@pytest.mark.usefixtures("sealed")
def test_provenance_is_paged() -> None:
    path = f"blockchain/provenance/{hash_of('global 2')}"
    answer = operator().get(path).json()
    assert answer["model_hash"] == hash_of("global 2")
    assert [entry["block_height"] for entry in answer["lineage"]] == [5, 4]
    assert answer["lineage"][0]["parent_model_hash"] == answer["lineage"][1]["model_hash"] == hash_of("global 1")
    assert set(answer["lineage"][1]) >= {"block_height", "model_version", "parent_model_hash", "timestamp"}
    second = operator().get(path, {"limit": 1, "offset": 1}).json()
    assert ([entry["model_version"] for entry in second["lineage"]], second["total"]) == (["v1"], 2)


@pytest.mark.usefixtures("sealed")
def test_an_export_verifies_by_itself() -> None:
    records: list[dict[str, Any]] = []
    while True:
        page = operator().get("blockchain/ledger/export", {"from": len(records), "limit": 4}).json()
        if not page["records"]:
            break
        records += page["records"]
    assert [record["height"] for record in records] == list(range(6))
    head = operator().get("blockchain/head").json()
    outcome = verify_chain(map(ChainRecord.from_json, records), genesis=head["chain_id"])
    assert outcome.report.chain_valid
    assert outcome.report.last_block_hash == head["block_hash"]
    assert page["head"] == head
    assert head["height"] == 5


def test_proposals_show_what_to_sign(proposal: Proposal) -> None:
    listed = organization("org-a").get("blockchain/proposals", {"open": "true"}).json()
    assert listed["total"] == 1
    (document,) = listed["proposals"]
    assert document == organization("org-b").get(f"blockchain/proposals/{proposal.pk}").json()
    assert base64.b64decode(document["header"]) == header_of(proposal)
    assert document["voters"] == MEMBERS
    assert (document["threshold"], document["approvals"], document["rejections"]) == (3, ["coordinator"], [])
    assert document["round_id"] == "round-3-abc"
    assert operator().get("blockchain/proposals").json()["total"] == 6


def test_votes_seal_the_block(proposal: Proposal) -> None:
    path = f"blockchain/proposals/{proposal.pk}/approve"
    for number, org_id in enumerate(MEMBERS, start=1):
        answer = organization(org_id).post(path, approval_of(proposal, org_id))
        assert answer.status_code == 200
        assert answer.json()["approvals"] == ["coordinator", *MEMBERS[:number]]
    assert answer.json()["status"] == "sealed"
    again = organization("org-a").post(path, approval_of(proposal, "org-a"))
    assert (again.status_code, again.json()["status"]) == (200, "sealed")
    assert selectors.head().height == 6


def test_a_rejection_ends_what_needs_everybody(proposal: Proposal) -> None:
    path = f"blockchain/proposals/{proposal.pk}/reject"
    answer = organization("org-a").post(path, rejection_body(proposal, "org-a", " nine points worse "))
    assert answer.status_code == 200
    assert answer.json()["status"] == "rejected"
    assert [rejection["org_id"] for rejection in answer.json()["rejections"]] == ["org-a"]
    assert answer.json()["end_reason"] == "rejected by org-a:  nine points worse "
    late = organization("org-b").post(f"blockchain/proposals/{proposal.pk}/approve", approval_of(proposal, "org-b"))
    assert (late.status_code, late.json()["code"]) == (409, "proposal_not_open")
    assert late.json()["action"]


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("caller", "status"),
    [(operator, 403), (own_user, 403), (stranger, 401), (lambda: organization("org-x"), 403)],
    ids=["operator", "own user", "stranger", "organisation without a key"],
)
def test_who_does_not_vote(proposal: Proposal, verb: str, caller: Any, status: int) -> None:
    body = rejection_body(proposal, "org-a", "no") if verb == "reject" else approval_of(proposal, "org-a")
    assert caller().post(f"blockchain/proposals/{proposal.pk}/{verb}", body).status_code == status
    assert Approval.objects.filter(block_hash=proposal.block_hash).count() == 1


def test_nobody_votes_for_another(proposal: Proposal) -> None:
    answer = organization("org-b").post(f"blockchain/proposals/{proposal.pk}/approve", approval_of(proposal, "org-a"))
    assert (answer.status_code, answer.json()["code"]) == (403, "key_not_admitted")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": base64.b64encode(bytes(64)).decode()}, 422, "invalid_signature"),
        ({"signature": "!"}, 400, "malformed"),
        ({"signature": ""}, 400, "invalid_fields"),
        ({"signature": "A" * 9000}, 400, "invalid_fields"),
        ({"signature": None}, 400, "invalid_fields"),
        ({"key_id": "abc"}, 400, "invalid_fields"),
        ({"key_id": hash_of("x")}, 403, "key_not_admitted"),
    ],
)
def test_votes_that_are_refused(proposal: Proposal, changes: dict[str, Any], status: int, code: str) -> None:
    path = f"blockchain/proposals/{proposal.pk}/approve"
    answer = organization("org-a").post(path, approval_of(proposal, "org-a", **changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Approval.objects.filter(block_hash=proposal.block_hash, org_id="org-a").exists()


@pytest.mark.parametrize("reason", ["", "x" * 501, "e\u0301"])
def test_reasons_that_are_refused(proposal: Proposal, reason: str) -> None:
    body = approval_of(proposal, "org-a", reason=reason)
    answer = organization("org-a").post(f"blockchain/proposals/{proposal.pk}/reject", body)
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"key_id": NaN}'])
def test_bodies_that_are_refused(proposal: Proposal, body: bytes) -> None:
    caller: Caller = organization("org-a")
    answer = caller.send(f"blockchain/proposals/{proposal.pk}/approve", body, "application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_block_as_a_standard_envelope(sealed: Consortium) -> None:
    envelope = organization("org-a").get("blockchain/blocks/5/envelope").json()
    payload = base64.b64decode(envelope["payload"])
    assert payload == bytes(selectors.block_at(5).header)
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    keys = {key.key_id: key for own in selectors.key_set().members.values() for key in own.values()}
    keys[selectors.key_set().coordinator.key_id] = selectors.key_set().coordinator
    assert len(envelope["signatures"]) == 4
    for signature in envelope["signatures"]:
        keys[signature["keyid"]].verify(base64.b64decode(signature["sig"]), signed)
    assert operator().get("blockchain/blocks/6/envelope").json()["code"] == "block_not_found"
