"""Reviews of shared detections: one after the other, none changed, each an event; and lists by what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from federation.detections.severity import THRESHOLDS, severity_of
from federation.errors import DetectionInvalid, DetectionMissing, ReviewUnchanged
from federation.models import DetectionReview, SharedDetection
from federation.selectors.detection_pages import (
    DetectionFilter,
    detections_counted,
    detections_matching,
    provenance_of,
)
from federation.services.detection_reviews import review_detection
from federation.services.detections import share_detection
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from ledger.errors import AppendOnlyRow
from tests.support.detections import detection, signed_detection, tamper
from tests.support.federation import SimulatedFederation, SimulatedOrganization

pytestmark = pytest.mark.django_db
OPERATOR = "operator:alice"


@pytest.fixture
def alpha(federation: SimulatedFederation) -> SimulatedOrganization:
    (organization,) = federation.enrol("org-alpha")
    federation.settle()
    return organization


@pytest.fixture
def shared(alpha: SimulatedOrganization, clock: ManualClock) -> list[SharedDetection]:
    """A scan, a brute force and a scan, in this order."""
    assert alpha.key is not None
    rows = []
    for number, (family, score) in enumerate((("Scan", 990_000), ("BruteForce", 940_000), ("Scan", 500_000))):
        statement = detection("org-alpha", number, family=family, score_ppm=score)
        row, _ = share_detection(org_id="org-alpha", signed=signed_detection(alpha.key, statement), clock=clock)
        rows.append(row)
    return rows


def review(row: SharedDetection, state: str, clock: ManualClock, note: str = "") -> DetectionReview:
    return review_detection(detection_id=row.pk, state=state, note=note, actor=OPERATOR, clock=clock)


def found(**asked: object) -> list[int]:
    rows, total = detections_matching(DetectionFilter(**asked), limit=10, offset=0)  # type: ignore[arg-type]
    assert total == len(rows)
    return [each.row.pk for each in rows]


def test_thresholds_go_down_to_zero_and_each_word_begins_at_its_own() -> None:
    scores = [least for _name, least in THRESHOLDS]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 0
    for (name, least), (below, _least) in zip(THRESHOLDS, [*THRESHOLDS[1:], THRESHOLDS[-1]], strict=True):
        assert severity_of(least) == name
        assert severity_of(max(least - 1, 0)) == below
    assert severity_of(1_000_000) == "critical"


def test_the_documented_thresholds_are_those_in_force() -> None:
    document = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
    for name, least in THRESHOLDS:
        assert f"| {name} | {least / 1_000_000:g} |" in document


def test_a_review_is_kept_after_the_others_and_is_an_event(shared: list[SharedDetection], clock: ManualClock) -> None:
    review(shared[0], "acknowledged", clock, "looking")
    review(shared[0], "acknowledged", clock, "still looking")
    review(shared[0], "closed", clock)
    review(shared[0], "new", clock, "it is back")
    said = [(row.state, row.note) for row in shared[0].reviews.order_by("pk")]
    assert said == [
        ("acknowledged", "looking"),
        ("acknowledged", "still looking"),
        ("closed", ""),
        ("new", "it is back"),
    ]
    event = AuditEvent.objects.filter(kind="detection.reviewed").latest("pk")
    assert (event.actor, event.data) == (OPERATOR, {"state": "new", "note": "it is back"})
    assert event.subject == f"detection {shared[0].alert_id}"
    assert AuditEvent.objects.filter(kind="detection.reviewed").count() == 4


def test_what_says_nothing_new_or_nothing_known_is_refused(shared: list[SharedDetection], clock: ManualClock) -> None:
    with pytest.raises(ReviewUnchanged):
        review(shared[0], "new", clock)
    review(shared[0], "closed", clock)
    with pytest.raises(ReviewUnchanged):
        review(shared[0], "closed", clock)
    with pytest.raises(DetectionInvalid, match="state"):
        review(shared[0], "solved", clock)
    with pytest.raises(DetectionInvalid, match="501"):
        review(shared[0], "closed", clock, "x" * 501)
    with pytest.raises(DetectionMissing):
        review_detection(detection_id=10**6, state="closed", note="", actor=OPERATOR, clock=clock)
    assert DetectionReview.objects.count() == 1


def test_no_review_is_changed_by_anybody(shared: list[SharedDetection], clock: ManualClock) -> None:
    row = review(shared[0], "closed", clock)
    with pytest.raises(AppendOnlyRow):
        row.save()
    with pytest.raises(AppendOnlyRow):
        row.delete()
    with pytest.raises(AppendOnlyRow):
        DetectionReview.objects.update(note="")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE federation_detectionreview SET note = 'other'")


def test_lists_follow_every_filter(shared: list[SharedDetection], clock: ManualClock) -> None:
    first, second, third = (row.pk for row in shared)
    review(shared[0], "acknowledged", clock)
    review(shared[0], "closed", clock)
    review(shared[1], "acknowledged", clock)
    review(shared[1], "new", clock)
    assert found() == [third, second, first]
    assert found(family="Scan") == [third, first]
    assert found(technique="T1110") == [second]
    assert found(org_id="org-alpha", least_ppm=940_000) == [second, first]
    assert found(org_id="org-beta") == []
    assert found(state="new") == [third, second]
    assert found(state="closed") == [first]
    assert found(state="acknowledged") == []
    assert found(since=clock.now()) == [third, second, first]
    assert found(before=clock.now()) == []
    states = {each.row.pk: each.state for each in detections_matching(DetectionFilter(), limit=10, offset=0)[0]}
    assert states == {first: "closed", second: "new", third: "new"}
    counted = detections_counted(DetectionFilter())
    assert dict(counted.families) == {"Scan": 2, "BruteForce": 1}
    assert dict(counted.tactics) == {"discovery": 2, "credential-access": 1}


def test_a_detection_is_verified_when_it_is_looked_at(shared: list[SharedDetection]) -> None:
    seen = provenance_of(shared[0])
    assert (seen.signed, seen.agrees, seen.released, seen.holds) == (True, True, False, False)
    assert seen.facts is not None
    assert seen.facts.destinations == 256
    tamper("flows = 7")
    seen = provenance_of(SharedDetection.objects.get(pk=shared[0].pk))
    assert (seen.signed, seen.agrees, seen.problem) == (True, False, "the signed statement has another flows: 1312")
    tamper("statement = %s", b"{}")
    seen = provenance_of(SharedDetection.objects.get(pk=shared[0].pk))
    assert (seen.facts, seen.signed, seen.agrees) == (None, False, False)
