"""Sharing detections over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stix2

from flxdr.core.clock import SystemClock
from flxdr.core.keys import Algorithm
from flxdr.env import Env
from tests.api.callers import SelfSigning, operator, organization, refuse_with
from tests.api.rounds import stored
from tests.api.test_schema import conforms
from tests.support.detections import detection, signed_detection
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
PATH = "federation/detections"


@pytest.fixture
def alpha() -> SelfSigning:
    """A member."""
    (member,) = SimulatedFederation(SystemClock()).enrol("org-alpha", algorithm=Algorithm.ML_DSA_65)
    assert member.key is not None
    return SelfSigning("org-alpha", member.key)


def body(alpha: SelfSigning, name: object = 1, **changes: Any) -> dict[str, str]:
    return signed_detection(alpha.key, detection(alpha.org_id, name, **changes)).as_json()


def test_a_member_shares_and_everybody_reads(alpha: SelfSigning, schema: dict[str, Any]) -> None:
    first, again = alpha.post(PATH, body(alpha)), alpha.post(PATH, body(alpha))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    for reader in (alpha, operator()):
        page = reader.get(PATH)
        assert page.json() == {"detections": [first.json()], "total": 1, "limit": 50, "offset": 0}
    conforms(schema, PATH, "post", first)
    conforms(schema, PATH, "get", page)


def test_the_bundle_is_served_as_stix(alpha: SelfSigning) -> None:
    for number in range(3):
        assert alpha.post(PATH, body(alpha, number)).status_code == 201
    answer = alpha.get(f"{PATH}/stix", {"limit": 2}, HTTP_ACCEPT="text/html")
    assert answer["Content-Type"] == "application/stix+json;version=2.1"
    assert [item.type for item in stix2.parse(answer.content.decode()).objects].count("sighting") == 2
    refuse_with(alpha.get(f"{PATH}/stix", {"format": "json"}), 400)


def test_what_is_refused_says_why_and_leaves_nothing(alpha: SelfSigning, env: Callable[..., Env]) -> None:
    env(detections_per_hour=1)
    assert alpha.post(PATH, body(alpha)).status_code == 201
    before = stored()
    refuse_with(alpha.post(PATH, body(alpha, flows=5000)), 409, "detection_conflict")
    refuse_with(alpha.post(PATH, body(alpha, 2, note="10.0.0.1")), 422, "detection_holds_identifiers")
    refuse_with(alpha.post(PATH, body(alpha, 2, family="Benign")), 422, "invalid_detection")
    limited = alpha.post(PATH, body(alpha, 2))
    refuse_with(limited, 429, "too_many_detections")
    assert 3590 <= int(limited["Retry-After"]) <= 3600
    refuse_with(operator().post(PATH, body(alpha, 2)), 403)
    refuse_with(organization("org-alpha").post(PATH, {"detection": 1}), 400)
    assert stored() == before
