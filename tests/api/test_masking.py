"""Masked rounds over the API: what every step answers, and what a wrong message is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from federation.masking.steps import Step
from federation.services import rounds
from flxdr.core import canonical, dsse
from flxdr.core.clock import SystemClock
from tests.api import masking
from tests.api.callers import organization, refuse_with, stranger
from tests.api.masking import NAMES, read, send, send_update, signed_body
from tests.api.rounds import register, stored
from tests.api.test_schema import conforms
from tests.privacy.secagg.test_group import SMALL_ORDER
from tests.support.factories import tensor_update
from tests.support.masking import MaskingOrganization

pytestmark = pytest.mark.django_db
ROUND = "federation/round/{round_id}"
Members = dict[str, MaskingOrganization]


@pytest.fixture
def members() -> Members:
    return masking.start()


@pytest.fixture
def alpha(members: Members) -> MaskingOrganization:
    return members["org-alpha"]


def test_every_answer_of_a_masked_round_is_what_the_schema_says(schema: dict[str, Any], members: Members) -> None:
    def told(member: MaskingOrganization, name: str) -> None:
        conforms(schema, f"{ROUND}/{name}", "get", read(member, name))

    def taken(member: MaskingOrganization, name: str, body: Any, step: str | None) -> None:
        for _ in range(2):
            answer = send(member, name, body)
            conforms(schema, f"{ROUND}/{name}", "post", answer)
            assert answer.json() == {"status": "accepted", "step": step}

    *_, last = members.values()
    for member in members.values():
        current = organization(member.org_id).get("federation/round/current")
        conforms(schema, "federation/round/current", "get", current)
        assert (current.json()["round"]["step"], current.json()["round"]["awaited"]) == ("advertise", True)
        taken(member, "advertise", signed_body(member.advertisement()), "shares" if member is last else "advertise")
    for member in members.values():
        told(member, "roster")
        body = {"roster_hash": member.roster.digest.hex(), "shares": member.sealed()}
        taken(member, "shares", body, "masked_input" if member is last else "shares")
    for member in members.values():
        told(member, "shares")
        assert send_update(member, member.received()).status_code == 201
    for member in members.values():
        told(member, "survivors")
        taken(member, "consistency", signed_body(member.confirmation()), "unmask" if member is last else "consistency")
    for member in members.values():
        told(member, "consistency")
        taken(member, "unmask", member.unmasking().as_json(), "unmask")
    status = organization(last.org_id).get(f"federation/round/{last.round_id}/status")
    conforms(schema, f"{ROUND}/status", "get", status)
    assert (status.json()["status"], status.json()["step"]) == ("aggregating", "unmask")


def refuse(call: Callable[..., Any], *arguments: Any, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refused message that left nothing behind."""
    before = stored()
    problem = refuse_with(call(*arguments), status, code)
    assert stored() == before
    return problem


Changed = Callable[[MaskingOrganization], dict[str, Any]]
ADVERTISEMENTS: list[tuple[Changed, int, str]] = [
    (lambda _: {}, 400, "invalid_fields"),
    (lambda org: signed_body(org.advertisement()) | {"statement": "%"}, 400, "invalid_fields"),
    (lambda org: signed_body(org.advertisement()) | {"statement": 7}, 400, "invalid_fields"),
    (lambda org: signed_body(org.advertisement()) | {"more": "x"}, 400, "invalid_fields"),
    (lambda org: signed_body(org.advertisement()) | {"statement": "e30="}, 400, "malformed_statement"),
    (lambda org: signed_body(nested(org)), 400, "malformed_statement"),
    (lambda org: signed_body(org.advertisement(mask_key=bytes.fromhex(SMALL_ORDER[1]))), 422, "invalid_masking_group"),
    (lambda org: signed_body(org.advertisement(share_key=org.secrets.mask_key)), 422, "invalid_roster"),
    (lambda org: signed_body(org.advertisement(org="org-beta")), 422, "statement_mismatch"),
    (lambda org: signed_body(org.advertisement(samples=0)), 422, "invalid_samples"),
    (lambda org: signed_body(org.advertisement()) | {"key_id": "0" * 64}, 422, "unknown_key"),
    (lambda org: signed_body(org.signed(org.advertisement().statement, "x")), 422, "invalid_signature"),
]


def nested(org: MaskingOrganization) -> Any:
    """An advertisement with as many levels as fit."""
    said = canonical.encode(canonical.decode(org.advertisement().statement) | {"privacy": {}})
    deep = said.replace(b'"privacy":{}', b'"privacy":' + b'{"a":' * 1800 + b"1" + b"}" * 1800)
    return org.signed(deep, dsse.ADVERTISEMENT_TYPE)


def test_a_wrong_advertisement_is_told_what_is_wrong(alpha: MaskingOrganization) -> None:
    for changed, status, code in ADVERTISEMENTS:
        problem = refuse(send, alpha, "advertise", changed(alpha), status=status, code=code)
        assert code == "invalid_signature" or problem.get("expected") or problem.get("errors")


def test_wrong_shares_are_told_what_is_wrong(members: Members, alpha: MaskingOrganization) -> None:
    masking.answer_all(members, Step.SHARES)
    honest: dict[str, Any] = {"roster_hash": alpha.roster.digest.hex(), "shares": alpha.sealed()}
    bodies: list[tuple[dict[str, Any], int, str]] = [
        (honest | {"shares": {}}, 422, "invalid_roster"),
        (honest | {"shares": {"org-beta": 7, "org-gamma": ""}}, 400, "invalid_fields"),
        (honest | {"shares": []}, 400, "invalid_fields"),
        (honest | {"roster_hash": "0" * 64}, 422, "invalid_roster"),
        (honest | {"shares": honest["shares"] | {"org-beta": "AAAA"}}, 400, "malformed_statement"),
        ({"shares": honest["shares"]}, 400, "invalid_fields"),
    ]
    for body, status, code in bodies:
        refuse(send, alpha, "shares", body, status=status, code=code)


def test_a_wrong_masked_update_is_told_what_is_wrong(members: Members, alpha: MaskingOrganization) -> None:
    masking.answer_all(members, Step.MASKED_INPUT)
    body = alpha.body()
    refuse(send_update, alpha, alpha.received(body + b"\0"), status=422, code="invalid_masked_vector")
    refuse(send_update, alpha, alpha.received(body, roster_hash="0" * 64), status=422, code="statement_mismatch")
    refuse(send_update, alpha, alpha.received(body), "application/octet-stream", status=409, code="protection_mismatch")
    clear = alpha.signed_update(tensor_update(alpha.round_id, alpha.org_id, {"x": alpha.update}))
    refuse(send_update, alpha, clear, "application/vnd.safetensors", status=409, code="protection_mismatch")
    refuse(send_update, alpha, alpha.received(body), "text/plain", status=415, code="unsupported_media_type")
    assert send_update(alpha, alpha.received(body)).status_code == 201
    assert send_update(alpha, alpha.received(body)).status_code == 200
    refuse(send_update, alpha, alpha.received(alpha.body(alpha.update + 1)), status=409, code="already_submitted")


def test_wrong_unmasking_shares_are_told_what_is_wrong(members: Members, alpha: MaskingOrganization) -> None:
    masking.answer_all(members, Step.UNMASK)
    seeds = alpha.unmasking().as_json()["self_seeds"]
    share = seeds["org-beta"]
    bodies: list[tuple[dict[str, Any], int, str]] = [
        ({"self_seeds": seeds}, 400, "invalid_fields"),
        ({"self_seeds": seeds, "mask_keys": {"org-beta": share}}, 422, "invalid_share"),
        ({"self_seeds": {}, "mask_keys": seeds}, 422, "invalid_share"),
        ({"self_seeds": seeds | {"org-beta": "f" * 66}, "mask_keys": {}}, 422, "invalid_share"),
        ({"self_seeds": seeds | {"org-beta": share[:-2]}, "mask_keys": {}}, 422, "invalid_share"),
        ({"self_seeds": seeds | {"org-beta": share + "00"}, "mask_keys": {}}, 400, "invalid_fields"),
    ]
    for body, status, code in bodies:
        problem = refuse(send, alpha, "unmask", body, status=status, code=code)
        assert share not in str(problem)


@pytest.mark.parametrize("name", ["roster", "shares", "survivors", "consistency"])
def test_nothing_is_told_before_its_step_has_ended(alpha: MaskingOrganization, name: str) -> None:
    problem = refuse(read, alpha, name, status=409, code="step_closed")
    assert problem["step"] == "advertise"
    assert "past the step" in problem["expected"]


def test_a_second_answer_and_a_late_one_are_conflicts(members: Members, alpha: MaskingOrganization) -> None:
    assert send(alpha, "advertise", signed_body(alpha.advertisement())).status_code == 200
    other = signed_body(alpha.advertisement(samples=7))
    refuse(send, alpha, "advertise", other, status=409, code="already_answered")
    for name in NAMES[1:]:
        members[name].advertise()
    refuse(send, alpha, "unmask", {"self_seeds": {}, "mask_keys": {}}, status=409, code="step_closed")
    rounds.abort_round(round_id=alpha.round_id, actor="operator", reason="a test", clock=SystemClock())
    sealed = {"roster_hash": alpha.roster.digest.hex(), "shares": alpha.sealed()}
    refuse(send, alpha, "shares", sealed, status=409, code="round_closed")


def test_outsiders_learn_nothing_of_a_masked_round(alpha: MaskingOrganization) -> None:
    assert register("org-late").status_code == 200
    late = organization("org-late")
    for name in ("roster", "shares", "survivors", "consistency"):
        path = f"federation/round/{alpha.round_id}/{name}"
        refuse(stranger().get, path, status=401, code="unauthenticated")
        refuse(late.get, path, status=403, code="not_a_participant")
        refuse(late.get, f"federation/round/round-0-0/{name}", status=404, code="round_not_found")
