"""What operators make of shared detections: one word after the other, none of them changed afterwards."""

from __future__ import annotations

from django.db import transaction

from federation.errors import DetectionInvalid, DetectionMissing, ReviewUnchanged
from federation.models import DetectionReview, SharedDetection
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event

State = DetectionReview.State
MOST_CHARACTERS = 500


@transaction.atomic
def review_detection(*, detection_id: int, state: str, note: str, actor: str, clock: Clock) -> DetectionReview:
    """Say what state a detection is in from now on, and why.

    Raises:
        DetectionMissing: there is none of that number.
        DetectionInvalid: no such state, or a note that is too long.
        ReviewUnchanged: the detection is in that state already, and the note is empty.
    """
    # The row is locked, so that of two operators who say the same one is told so.
    detection = SharedDetection.objects.select_for_update().filter(pk=detection_id).first()
    if detection is None:
        raise DetectionMissing(f"no detection {detection_id}")
    if state not in State.values:
        raise DetectionInvalid(f"state {state[:40]!r}", expected=" | ".join(State.values), field="state")
    if len(note) > MOST_CHARACTERS:
        raise DetectionInvalid(f"a note of {len(note)} characters", expected=f"at most {MOST_CHARACTERS}", field="note")
    newest = detection.reviews.first()
    if not note and state == (newest.state if newest else State.NEW):
        raise ReviewUnchanged(f"the detection is {state} already", expected="another state, or a note")
    review = DetectionReview.objects.create(
        detection=detection, state=state, note=note, reviewed_by=actor, reviewed_at=clock.now()
    )
    record_event(
        kind="detection.reviewed",
        actor=actor,
        subject=f"detection {detection.alert_id}",
        data={"state": state, "note": note},
        clock=clock,
    )
    return review
