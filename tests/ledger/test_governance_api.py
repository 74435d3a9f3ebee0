"""Governance over the API: who proposes what, and what everybody may read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.clock import SystemClock
from ledger.models import Proposal
from tests.api.callers import Caller, operator, organization, stranger
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, rotation_for
from tests.platform.directories import MemoryDirectory, registered

MEMBERS = ["org-a", "org-b", "org-c"]
NEW = key_of("org-a new")
ROOT = "blockchain/governance"


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    with registered(MemoryDirectory(active={*MEMBERS, "org-x"})):
        yield


@pytest.fixture
def members(consortium: Consortium) -> Consortium:
    """Three members and a release; the present time, because the API has no other."""
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS)
    consortium.clock.advance(SystemClock().now() - consortium.clock.now())
    return consortium


def rotation(**changes: Any) -> dict[str, Any]:
    old = key_of("org-a")
    statement = rotation_for("org-a", NEW, old)

    def signed(key: Any) -> str:
        return base64.b64encode(dsse.sign(key, dsse.ROTATION_TYPE, statement)).decode()

    return {
        "public_key": NEW.public.to_base64(),
        "statement": base64.b64encode(statement).decode(),
        "proof": signed(NEW),
        "endorsement": {"key_id": old.public.key_id, "signature": signed(old)},
        **changes,
    }


def revocation(org_id: str = "org-a", **changes: Any) -> dict[str, Any]:
    key_id = key_of(org_id).public.key_id
    return {"org_id": org_id, "key_id": key_id, "compromised_since": 2, "reason": "stolen", **changes}


WITHDRAWAL = {"model_name": "global", "model_version": 1, "reason": "it misses scans"}
POLICY = {"method": "multisig", "numerator": 2, "denominator": 3, "minimum": 3}


@pytest.mark.parametrize(
    ("caller", "entry", "body", "status"),
    [
        (organization("org-a"), "rotate", rotation, 200),
        (organization("org-b"), "rotate", rotation, 403),
        (operator(), "rotate", rotation, 403),
        (stranger(), "rotate", rotation, 401),
        (organization("org-a"), "revoke", revocation, 200),
        (organization("org-b"), "revoke", revocation, 403),
        (operator(), "revoke", revocation, 200),
        (stranger(), "revoke", revocation, 401),
        (organization("org-b"), "withdraw", lambda: WITHDRAWAL, 200),
        (organization("org-x"), "withdraw", lambda: WITHDRAWAL, 403),
        (operator(), "withdraw", lambda: WITHDRAWAL, 200),
        (operator(), "policy", lambda: POLICY, 200),
        (organization("org-a"), "policy", lambda: POLICY, 403),
    ],
)
@pytest.mark.usefixtures("members")
def test_who_proposes(caller: Caller, entry: str, body: Any, status: int) -> None:
    before = Proposal.objects.count()
    answer = caller.post(f"{ROOT}/{entry}", body())
    assert answer.status_code == status, answer.content
    assert Proposal.objects.count() == before + (status == 200)
    if status == 200:
        document = answer.json()
        assert (document["type"], document["status"]) == ("governance", "open")
        assert document["subject"].startswith(
            {"policy": "set_policy", "withdraw": "withdraw_release global v1"}.get(entry, f"{entry} org-a")
        )
        again = caller.post(f"{ROOT}/{entry}", body())
        assert again.json()["id"] == document["id"]


@pytest.mark.parametrize(
    ("entry", "body", "status", "code"),
    [
        ("revoke", {"reason": "x", "key_id": "AB"}, 400, None),
        ("revoke", revocation(reason=""), 400, None),
        ("revoke", revocation(compromised_since=99), 422, "block_invalid"),
        ("revoke", revocation(key_id="0" * 64), 422, "block_invalid"),
        ("revoke", {"key_id": "0" * 64, "reason": "x"}, 400, None),
        ("withdraw", {**WITHDRAWAL, "model_version": 2}, 404, "model_not_released"),
        ("withdraw", {**WITHDRAWAL, "model_name": "a\0"}, 400, None),
        ("policy", {**POLICY, "minimum": 4}, 422, "block_invalid"),
        ("policy", {**POLICY, "numerator": 3}, 422, "block_invalid"),
        ("policy", {**POLICY, "method": "nobody"}, 400, None),
        ("policy", {**POLICY, "minimum": 2}, 409, "proposal_conflict"),
    ],
)
@pytest.mark.usefixtures("members")
def test_what_is_refused(entry: str, body: dict[str, Any], status: int, code: str | None) -> None:
    before = Proposal.objects.count()
    answer = operator().post(f"{ROOT}/{entry}", body)
    assert answer.status_code == status, answer.content
    assert code in (None, answer.json()["code"])
    assert Proposal.objects.count() == before


@pytest.mark.usefixtures("members")
def test_an_organization_need_not_name_itself() -> None:
    body = revocation()
    del body["org_id"]
    assert organization("org-a").post(f"{ROOT}/revoke", body).json()["org_id"] == "org-a"


def test_everybody_reads_what_is_in_force(members: Consortium) -> None:
    members.rotate("org-a", NEW)
    members.seal(members.propose_revocation("org-c", compromised_since=4))
    members.seal(members.propose_withdrawal(1))
    shown = organization("org-x").get(ROOT, {"limit": 3}).json()
    assert shown["policy"] == {**POLICY, "minimum": 2}
    assert [member["org_id"] for member in shown["members"]] == ["org-a", "org-b"]
    (key,) = shown["members"][0]["keys"]
    assert (key["key_id"], key["admitted_height"]) == (NEW.public.key_id, 5)
    assert {(key["org_id"], key["retired_height"]) for key in shown["retired"]} == {("org-a", 5), ("org-c", 6)}
    assert [entry["action"] for entry in shown["entries"]] == ["withdraw_release", "revoke", "rotate"]
    assert (shown["entries"][1]["compromised_since"], shown["entries"][2]["retires"]) == (
        4,
        key_of("org-a").public.key_id,
    )
    assert shown["total"] == 7
    assert operator().get(ROOT, {"colour": "blue"}).status_code == 400
    assert stranger().get(ROOT).status_code == 401
