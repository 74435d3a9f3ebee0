"""Three organisations of a masked round, and their messages as they are sent to the API."""

from __future__ import annotations

from typing import Any

import numpy as np

from federation.masking.steps import Step
from federation.services import rounds
from federation.services.masking.messages import SignedDocument
from federation.services.received import ReceivedUpdate
from federation.statements import Envelope
from flxdr.core.clock import SystemClock
from flxdr.core.dsse import encode_base64
from models_ml import registry
from tests.api.callers import organization
from tests.support.federation import SimulatedFederation
from tests.support.masking import STEPS, MaskingOrganization

MODEL = "edge-normaliser"
NAMES = ("org-alpha", "org-beta", "org-gamma")
MASKED = "application/vnd.flxdr.masked-update"


def start() -> dict[str, MaskingOrganization]:
    """The organisations of a round that has just begun."""
    clock = SystemClock()
    federation = SimulatedFederation(clock)
    federation.enrol(*NAMES)
    started = rounds.start_round(actor="operator", model_name=MODEL, protection="secagg", clock=clock)
    update = np.arange(registry.MODELS[MODEL].schema.size, dtype=np.int32)
    return {each.org_id: MaskingOrganization(each, started, update) for each in federation.organizations}


def answer_all(members: dict[str, MaskingOrganization], until: Step) -> None:
    """Everybody answers every step before that one."""
    for step in STEPS:
        if step == until:
            return
        for member in members.values():
            member.answer(step)


def signed_body(document: SignedDocument) -> dict[str, str]:
    return {
        "statement": encode_base64(document.statement),
        "key_id": document.key_id,
        "signature": encode_base64(document.signature),
    }


def read(member: MaskingOrganization, name: str) -> Any:
    return organization(member.org_id).get(f"federation/round/{member.round_id}/{name}")


def send(member: MaskingOrganization, name: str, body: Any) -> Any:
    return organization(member.org_id).post(f"federation/round/{member.round_id}/{name}", body)


def send_update(member: MaskingOrganization, received: ReceivedUpdate, content_type: str = MASKED) -> Any:
    assert received.statement is not None
    header = Envelope(received.statement, received.key_id, received.signature).compact()
    return organization(member.org_id).send(
        "federation/round/submit-gradient", received.body, content_type, HTTP_SUBMISSION_STATEMENT=header
    )
