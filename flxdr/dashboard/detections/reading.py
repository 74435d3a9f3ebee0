"""What the detections' pages show beside their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from federation.detections.severity import severity_of
from federation.detections.techniques import TECHNIQUES, tactics_of, technique_of
from federation.models import DetectionReview, SharedDetection
from federation.selectors.detection_pages import (
    PPM,
    DetectionFilter,
    Provenance,
    detection_by_id,
    detections_counted,
    provenance_of,
    reviews_of,
)
from flxdr.dashboard.charts.bars import bars
from privacy.sanitize.attack import Category


@dataclass(frozen=True)
class Summary:
    """The detections that are listed, counted; None where there are none."""

    families: SafeString | None
    tactics: SafeString | None
    names: Sequence[str]


@dataclass(frozen=True)
class DetectionPage:
    """One detection."""

    row: SharedDetection
    severity: str
    technique: Category | None
    provenance: Provenance
    reviews: Sequence[DetectionReview]

    @property
    def score(self) -> float:
        return self.row.score_ppm / PPM

    @property
    def state(self) -> str:
        return self.reviews[0].state if self.reviews else DetectionReview.State.NEW

    @property
    def tactics(self) -> str:
        return ", ".join(map(tactic_name, tactics_of(self.row.family)))

    @property
    def statement(self) -> str:
        """The bytes that were signed: canonical JSON."""
        return bytes(self.row.statement).decode(errors="replace")

    @property
    def signature(self) -> str:
        return bytes(self.row.signature).hex()


def read_summary(asked: DetectionFilter) -> Summary:
    """How the listed detections divide."""
    counted = detections_counted(asked)
    if not counted.families:
        return Summary(None, None, list(TECHNIQUES))
    tactics = {tactic_name(name): count for name, count in counted.tactics.items()}
    return Summary(
        families=bars(counted.families, title=_("Detections by family")),
        tactics=bars(tactics, title=_("Detections by tactic")) if tactics else None,
        names=list(TECHNIQUES),
    )


def read_detection(pk: int) -> DetectionPage:
    """One detection.

    Raises:
        DetectionMissing: there is none of that number.
    """
    row = detection_by_id(pk)
    return DetectionPage(
        row=row,
        severity=severity_of(row.score_ppm),
        technique=technique_of(row.family) if row.family in TECHNIQUES else None,
        provenance=provenance_of(row),
        reviews=reviews_of(row),
    )


def tactic_name(tactic: str) -> str:
    """`lateral-movement` in words."""
    return tactic.replace("-", " ")
