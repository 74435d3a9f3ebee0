"""Detections: what was shared, what stands behind it, what became of it, and STIX."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import DetectionReview, Organization, SharedDetection
from federation.services.detections import share_detection
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from tests.conftest import SentTasks
from tests.support.detections import detection, signed_detection, tamper
from tests.support.federation import SimulatedFederation
from tests.support.showcase import SHOWN, Showcase

pytestmark = pytest.mark.django_db


def staff(*codenames: str) -> Client:
    user = User.objects.create_user(f"staff-{len(codenames)}", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return staff("view_shareddetection")


@pytest.fixture
def operator() -> Client:
    return staff("view_shareddetection", "change_shareddetection")


@pytest.fixture
def showcase(sent_tasks: SentTasks, env: Callable[..., Any]) -> Showcase:
    env(**SHOWN)
    return Showcase().build()


@pytest.fixture
def scan(sent_tasks: SentTasks, clock: ManualClock) -> SharedDetection:
    """A scan of org-alpha, by a model that no block vouches for."""
    federation = SimulatedFederation(clock)
    (alpha,) = federation.enrol("org-alpha")
    federation.settle()
    assert alpha.key is not None
    signed = signed_detection(alpha.key, detection("org-alpha", note="seen at night"))
    return share_detection(org_id="org-alpha", signed=signed, clock=clock)[0]


def text_of(client: Client, path: str, query: dict[str, str] | None = None) -> str:
    response = client.get(path, query or {})
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("path", ["/detections/", "/detections/1/", "/detections/stix", "/detections/1/stix"])
def test_staff_without_the_permission_is_refused_and_others_sign_in(path: str, client: Client) -> None:
    assert client.get(path, headers={"host": "localhost"}).status_code == 302
    assert staff().get(path).status_code == 403


def test_nothing_shared_is_said_so(viewer: Client) -> None:
    page = text_of(viewer, "/detections/")
    assert "No detection matches" in page
    assert "flxdr-agent share" in page
    assert "STIX" not in page


def test_the_list_tells_severity_technique_organisation_and_state(viewer: Client, showcase: Showcase) -> None:
    page = text_of(viewer, "/detections/")
    for said in ('bad">critical', 'bad">high', 'warn">medium', "T1046", "Network Service Discovery", "bank-north"):
        assert said in page
    for state in ("acknowledged", "closed", "new"):
        assert f"{state}</span>" in page
    assert "Detections by family: BruteForce 2, C2 2, Scan 2" in page
    assert "command and control 2" in page
    only = text_of(viewer, "/detections/", {"family": "Scan", "state": "closed"})
    assert "1 to 1 of 1" in only
    assert "Detections by family: Scan 1" in only
    assert "1 to 1 of 1" in text_of(viewer, "/detections/", {"score": "0.99"})


def test_alert_model_round_and_block_are_one_click_each(viewer: Client, showcase: Showcase) -> None:
    row = SharedDetection.objects.filter(family="C2").latest("pk")
    version = showcase.rounds["network"].result
    page = text_of(viewer, f"/detections/{row.pk}/")
    assert "verified now: signature, statement and block" in page
    for link in (
        f"/models/{version.model_name}/{version.version}/",
        f"/rounds/{showcase.rounds['network'].round_id}/",
        f"/ledger/blocks/{version.block_height}/",
        f"/organizations/{row.organization.org_id}/",
    ):
        assert f'href="{link}"' in page
    assert "Command and Control" in page or "command and control" in page
    assert "256 destinations" in page


def test_a_model_that_no_block_vouches_for_is_never_green(viewer: Client, scan: SharedDetection) -> None:
    page = text_of(viewer, f"/detections/{scan.pk}/")
    assert "No block vouches for the model" in page
    assert "signed; no block vouches for its model" in page
    assert "not known here" in page
    assert "verified now" not in page
    assert "seen at night" in page


def test_a_changed_row_is_found_out(viewer: Client, scan: SharedDetection) -> None:
    tamper("family = 'Nothing'")
    page = text_of(viewer, f"/detections/{scan.pk}/")
    assert "does not verify" in page
    assert "the signed statement has another family: Scan" in page
    assert text_of(viewer, "/detections/")


@pytest.mark.parametrize("path", ["/detections/stix", "/detections/{pk}/stix"])
def test_no_bundle_is_made_of_a_changed_statement(viewer: Client, scan: SharedDetection, path: str) -> None:
    tamper("statement = %s", b"{}")
    answer = viewer.get(path.format(pk=scan.pk), follow=True)
    assert answer.redirect_chain == [("/detections/", 302)]
    assert "stored statement cannot be read" in answer.content.decode()


def test_an_operator_writes_down_what_became_of_it(operator: Client, scan: SharedDetection) -> None:
    path = f"/detections/{scan.pk}/review"
    answer = operator.post(path, {"state": "acknowledged", "note": "<b>looking</b>\x00"}, follow=True)
    page = answer.content.decode()
    assert "Written down." in page
    assert "&lt;b&gt;looking&lt;/b&gt;" in page
    row = DetectionReview.objects.get()
    assert (row.state, row.note, row.reviewed_by) == ("acknowledged", "<b>looking</b>", "operator:staff-2")
    assert AuditEvent.objects.filter(kind="detection.reviewed", actor="operator:staff-2").exists()


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"state": "new", "note": ""}, "another state, or a note"),
        ({"state": "solved", "note": "typed in vain"}, "acknowledged"),
        ({"state": "closed", "note": "x" * 501}, "at most 500"),
        ({}, "acknowledged"),
    ],
)
def test_what_is_refused_is_said_and_what_was_typed_stays(
    operator: Client, scan: SharedDetection, posted: dict[str, str], said: str
) -> None:
    answer = operator.post(f"/detections/{scan.pk}/review", posted)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert said in page
    assert f'value="{posted.get("note", "")}"' in page
    assert not DetectionReview.objects.exists()


def test_a_viewer_has_no_form_and_no_way_round_it(viewer: Client, scan: SharedDetection) -> None:
    assert '<form method="post" action="/detections' not in text_of(viewer, f"/detections/{scan.pk}/")
    assert viewer.post(f"/detections/{scan.pk}/review", {"state": "closed"}).status_code == 403
    assert not DetectionReview.objects.exists()


def test_reviewing_needs_a_post_and_its_token(scan: SharedDetection) -> None:
    operator = staff("view_shareddetection", "change_shareddetection")
    assert operator.get(f"/detections/{scan.pk}/review").status_code == 405
    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    strict.force_login(User.objects.get(username="staff-2"))
    assert strict.post(f"/detections/{scan.pk}/review", {"state": "closed"}).status_code == 403


def test_stix_is_of_one_or_of_the_page_that_is_shown(viewer: Client, showcase: Showcase) -> None:
    answer = viewer.get("/detections/stix", {"family": "Scan"})
    assert answer["Content-Type"].startswith("application/stix+json")
    assert answer["Content-Disposition"] == 'attachment; filename="detections.stix.json"'
    kinds = [item["type"] for item in json.loads(answer.content)["objects"]]
    assert kinds.count("sighting") == 2
    row = SharedDetection.objects.filter(family="C2").latest("pk")
    one = json.loads(viewer.get(f"/detections/{row.pk}/stix").content)["objects"]
    assert [item["count"] for item in one if item["type"] == "sighting"] == [row.flows]
    empty = json.loads(viewer.get("/detections/stix", {"family": "nothing"}).content)
    assert not [item for item in empty["objects"] if item["type"] == "sighting"]


@pytest.mark.parametrize("pk", ["0", "99999", "9" * 30])
@pytest.mark.parametrize("rest", ["", "stix"])
def test_what_is_not_there_is_not_found(viewer: Client, pk: str, rest: str) -> None:
    assert viewer.get(f"/detections/{pk}/{rest}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"page": "abc", "from": "2026-99-99", "to": "x"},
        {"score": "nan"},
        {"score": "1e400"},
        {"score": "-1"},
        {"family": "\x00", "org": "<b>", "technique": "T" * 500, "state": "perfect"},
    ],
)
def test_garbage_in_the_address_is_no_error(viewer: Client, scan: SharedDetection, query: dict[str, str]) -> None:
    assert "<b>" not in text_of(viewer, "/detections/", query)
    assert viewer.get("/detections/stix", query).status_code == 200


@pytest.mark.parametrize("detections", [3, 60])
def test_queries_do_not_grow_with_detections(
    viewer: Client, clock: ManualClock, detections: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(detections):
        organization = Organization.objects.create(org_id=f"org-{number}", name="One")
        row = SharedDetection.objects.create(
            organization=organization,
            alert_id=f"{number:032}",
            family="Scan",
            technique="T1046",
            score_ppm=900_000,
            flows=1,
            first_seen=clock.now(),
            last_seen=clock.now(),
            model_name="tgnn",
            model_hash="0" * 64,
            statement=b"{}",
            signature=b"",
            key_id="",
            received_at=clock.now(),
        )
        DetectionReview.objects.create(
            detection=row, state="closed", reviewed_by="operator:alice", reviewed_at=clock.now()
        )
    with django_assert_max_num_queries(12):
        assert viewer.get("/detections/", {"state": "closed"}).status_code == 200
    with django_assert_max_num_queries(14):
        assert viewer.get(f"/detections/{row.pk}/").status_code == 200
