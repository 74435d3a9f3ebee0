"""What a participant asks for: what waits, the model, the proof that its update was counted."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np
import pytest

import ledger.selectors
from federation import statements
from federation.api import long_poll
from federation.models import ModelVersion
from federation.round_config import RoundConfig
from flxdr.core import canonical, dsse
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import sign_own_token
from ledger.chain import merkle
from ledger.chain.block import parse_header
from models_ml import codec
from tests.api.callers import Caller, SelfSigning, bearer, operator, organization, own_user
from tests.api.rounds import open_round, register, run_due_work, start_round, submit

pytestmark = pytest.mark.django_db
SUBMIT = "federation/round/submit-gradient"


def enrol(org_id: str, key: PrivateKey) -> SelfSigning:
    """Register an organisation with a proven key."""
    statement = statements.registration(
        org_id=org_id, org_name=org_id.title(), key_id=key.public.key_id, chain_id=ledger.selectors.chain_id()
    )
    proof = dsse.sign(key, dsse.REGISTRATION_TYPE, statement)
    response = register(org_id, crypto_pubkey=key.public.to_base64(), key_proof=base64.b64encode(proof).decode())
    assert response.status_code == 200, response.content
    return SelfSigning(org_id, key)


def approve_everything(*members: SelfSigning) -> None:
    """Every member approves what awaits its vote, as agents do; then the coordinator's work runs."""
    run_due_work()
    for member in members:
        for proposal in member.get("federation/round/current").json()["proposals"]:
            header = base64.b64decode(proposal["header"])
            signature = dsse.sign(member.key, dsse.BLOCK_TYPE, header)
            answer = {"key_id": member.key.public.key_id, "signature": base64.b64encode(signature).decode()}
            response = member.post(f"blockchain/proposals/{proposal['id']}/approve", answer)
            assert response.status_code == 200, response.content
    run_due_work()


def submit_signed(member: SelfSigning, current: dict[str, Any], tensors: dict[str, Any], samples: int) -> Any:
    """Send a delta as a tensor file with a signed statement."""
    config = RoundConfig.decode(base64.b64decode(current["config"]))
    body = codec.encode(tensors)
    statement = statements.submission(
        chain_id=config.chain_id,
        round_id=config.round_id,
        config_hash=current["config_hash"],
        org=member.org_id,
        parent_hash=config.parent_hash,
        kind="delta",
        samples=samples,
        privacy={"mechanism": "none"},
        wire_digest=hashlib.sha256(body).hexdigest(),
        metrics={"loss": 0.5},
    )
    signature = dsse.sign(member.key, dsse.SUBMISSION_TYPE, statement)
    header = statements.Envelope(statement, member.key.public.key_id, signature).compact()
    return member.send(SUBMIT, body, "application/vnd.safetensors", HTTP_SUBMISSION_STATEMENT=header)


def test_a_signed_round_from_poll_to_sealed_block() -> None:
    alpha, beta = (enrol(org_id, PrivateKey.generate()) for org_id in ("org-alpha", "org-beta"))
    approve_everything(alpha, beta)
    round_id = start_round(model="edge-normaliser")["round_id"]
    for number, member in enumerate((alpha, beta), start=1):
        current = member.get("federation/round/current", {"wait": 25}).json()["round"]
        assert (current["round_id"], current["status"], current["submitted"]) == (round_id, "in_progress", False)
        config = base64.b64decode(current["config"])
        assert canonical.digest(config) == current["config_hash"]
        parent = member.get(f"federation/model/{current['parent_hash']}")
        parent_bytes = b"".join(parent)
        assert codec.model_hash(parent_bytes) == current["parent_hash"]
        delta = {name: np.full_like(array, number) for name, array in codec.decode(parent_bytes).items()}
        response = submit_signed(member, current, delta, samples=10 * number)
        assert response.status_code == 201, response.content
        assert response.json()["signed"] is True
    run_due_work()

    waiting = alpha.get("federation/round/current", {"wait": 25}).json()
    assert waiting["round"]["submitted"] is True
    assert [proposal["round_id"] for proposal in waiting["proposals"]] == [round_id]
    candidate = waiting["proposals"][0]["model_hash"]
    released = b"".join(beta.get(f"federation/model/{candidate}"))
    assert codec.model_hash(released) == candidate
    approve_everything(alpha, beta)
    assert own_user().get(f"federation/round/{round_id}/status").json()["status"] == "completed"
    assert alpha.get("federation/round/current").json()["round"] is None

    head = ledger.selectors.head()
    provenance = parse_header(bytes(head.header)).provenance
    assert provenance is not None
    for number, member in enumerate((alpha, beta), start=1):
        own = member.get(f"federation/round/{round_id}/submission").json()
        assert (own["samples"], own["tree_size"]) == (10 * number, 2)
        leaf = canonical.encode(
            {"org_id": member.org_id, "samples": own["samples"], "submission_digest": own["submission_digest"]}
        )
        assert own["submissions_root"] == provenance.submissions_root
        path = [bytes.fromhex(node) for node in own["proof"]]
        root = bytes.fromhex(provenance.submissions_root)
        assert merkle.verify_inclusion(leaf, own["leaf_index"], own["tree_size"], path, root)
        assert not merkle.verify_inclusion(leaf + b"x", own["leaf_index"], own["tree_size"], path, root)


def test_a_self_signed_token_writes_once() -> None:
    key = PrivateKey.generate()
    enrol("org-alpha", key)
    alpha = bearer(sign_own_token(org_id="org-alpha", key=key))
    body = {"key_id": key.public.key_id, "signature": "AAAA"}
    for _ in range(2):
        assert alpha.get("federation/round/current").status_code == 200
    assert alpha.post("blockchain/proposals/999/approve", body).status_code == 404
    replayed = alpha.post("blockchain/proposals/999/approve", body)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "token_replayed")
    assert alpha.get("federation/round/current").status_code == 200


def test_before_the_aggregation_there_is_no_proof() -> None:
    round_id = open_round("org-alpha", "org-beta")
    accepted = submit(round_id, "org-alpha").json()
    own = organization("org-alpha").get(f"federation/round/{round_id}/submission").json()
    assert own["gradient_id"] == accepted["gradient_id"]
    assert own["submission_digest"] == accepted["submission_digest"]
    assert [own[name] for name in ("leaf_index", "tree_size", "proof", "submissions_root")] == [None] * 4


class FakeTime:
    """Time that passes only in `sleep`; something may happen meanwhile."""

    def __init__(self, happening: Any = None) -> None:
        self.now, self.happening = 0.0, happening

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds
        if self.now > 1 and self.happening is not None:
            self.happening, happening = None, self.happening
            happening()


def test_the_poll_answers_when_a_round_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for org_id in ("org-alpha", "org-beta"):
        register(org_id)
    time = FakeTime(start_round)
    monkeypatch.setattr(long_poll, "time", time)
    answer = organization("org-alpha").get("federation/round/current", {"wait": 25}).json()
    assert answer["round"]["status"] == "in_progress"
    assert 1 < time.now < 1.5


def test_the_poll_gives_up_after_the_time_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    register("org-alpha")
    time = FakeTime()
    monkeypatch.setattr(long_poll, "time", time)
    answer = organization("org-alpha").get("federation/round/current", {"wait": 3}).json()
    assert (answer["round"], answer["proposals"]) == (None, [])
    assert answer["head"]["chain_id"] == ledger.selectors.chain_id()
    assert time.now == pytest.approx(3)


def test_a_poll_can_be_narrowed_to_a_model() -> None:
    round_id = open_round("org-alpha", "org-beta")
    alpha = organization("org-alpha")
    assert alpha.get("federation/round/current", {"model": "global"}).json()["round"]["round_id"] == round_id
    assert alpha.get("federation/round/current", {"model": "edge-classifier"}).json()["round"] is None


def test_a_model_is_served_in_whole_in_part_and_not_again() -> None:
    round_id = open_round("org-alpha", "org-beta")
    for org_id in ("org-alpha", "org-beta"):
        submit(round_id, org_id)
    run_due_work()
    model_hash = ModelVersion.objects.get(status="released").model_hash
    path, caller = f"federation/model/{model_hash}", organization("org-alpha")
    whole = caller.get(path)
    content = b"".join(whole)
    assert whole["Content-Type"] == "application/vnd.safetensors"
    assert whole["ETag"] == f'"{model_hash}"'
    assert codec.model_hash(content) == model_hash
    part = caller.get(path, HTTP_RANGE="bytes=8-")
    assert (part.status_code, b"".join(part)) == (206, content[8:])
    same = caller.get(path, HTTP_IF_NONE_MATCH=f'"{model_hash}"')
    assert (same.status_code, same.content) == (304, b"")
    beyond = caller.get(path, HTTP_RANGE=f"bytes={len(content)}-")
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(content)}")
    assert b"".join(caller.get(path, HTTP_ACCEPT="application/vnd.safetensors")) == content


@pytest.mark.parametrize(
    ("path", "name"),
    [("federation/organizations", "organizations"), ("federation/rounds", "rounds"), ("federation/models", "models")],
)
def test_lists_come_in_pages(path: str, name: str) -> None:
    for number in range(2):
        round_id = open_round("org-alpha", "org-beta", round_number=number + 1)
        for org_id in ("org-alpha", "org-beta"):
            assert submit(round_id, org_id).status_code == 201
        run_due_work()
    whole = operator().get(path).json()
    assert whole["total"] == len(whole[name]) >= 2
    pages = [operator().get(path, {"limit": 1, "offset": offset}).json() for offset in range(whole["total"] + 1)]
    assert [entry for page in pages for entry in page[name]] == whole[name]
    assert all((page["total"], page["limit"]) == (whole["total"], 1) for page in pages)
    assert operator().get(path, {"limit": 10**6}).json()["limit"] <= 500


@pytest.mark.parametrize(("path", "name"), [("federation/rounds", "rounds"), ("federation/models", "models")])
def test_lists_can_be_narrowed_to_a_model(path: str, name: str) -> None:
    open_round("org-alpha", "org-beta", model="edge-normaliser")
    assert operator().get(path, {"model": "edge-normaliser"}).json()["total"] == 1
    assert operator().get(path, {"model": "edge-classifier"}).json()[name] == []


def test_a_campaign_starts_its_first_round() -> None:
    for org_id in ("org-alpha", "org-beta"):
        register(org_id)
    fields = {"model": "global", "rounds": 2, "aggregation_method": "FedAvg", "min_orgs_required": 2}
    started = own_user().post("federation/campaign/start", fields)
    assert started.status_code == 200, started.content
    campaign = own_user().get(f"federation/campaign/{started.json()['id']}").json()
    assert (campaign["status"], campaign["rounds_total"], campaign["rounds_completed"]) == ("running", 2, 0)
    assert len(campaign["rounds"]) == 1
    again = own_user().post("federation/campaign/start", fields)
    assert again.status_code == 409


def test_operators_decide_about_organizations() -> None:
    register("org-alpha")
    first, second = operator(), own_user()
    decisions: list[tuple[Caller, str, int, str]] = [
        (first, "approve", 409, "active"),
        (first, "suspend", 202, "active"),
        (first, "suspend", 202, "active"),
        (second, "suspend", 200, "suspended"),
        (second, "suspend", 409, "suspended"),
        (second, "readmit", 202, "suspended"),
        (first, "readmit", 200, "active"),
        (first, "readmit", 409, "active"),
    ]
    for caller, decision, status, after in decisions:
        response = caller.post(f"federation/organizations/org-alpha/{decision}")
        assert response.status_code == status, response.content
        assert caller.get("federation/organizations").json()["organizations"][0]["status"] == after
        if status == 200:
            assert response.json()["status"] == after
    for decision in ("approve", "suspend", "readmit"):
        assert first.post(f"federation/organizations/org-nobody/{decision}").status_code == 404


def test_one_operator_decides_alone_where_the_rule_is_off(env: Any) -> None:
    env(two_person=False)
    register("org-alpha")
    assert operator().post("federation/organizations/org-alpha/suspend").json()["status"] == "suspended"
    assert operator().post("federation/organizations/org-alpha/readmit").json()["status"] == "active"


def test_what_waits_for_a_second_operator_is_told() -> None:
    register("org-alpha")
    answer = operator().post("federation/organizations/org-alpha/suspend", {"reason": "poisoned updates"})
    assert answer.status_code == 202
    waiting = answer.json()
    assert {"action": "suspend", "subject": "org-alpha", "reason": "poisoned updates"}.items() <= waiting.items()
    assert (waiting["status"], waiting["requested_by"], waiting["decided_by"]) == ("waiting", "operator:olivia", None)
