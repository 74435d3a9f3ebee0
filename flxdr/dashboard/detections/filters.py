"""Which detections a request asks for."""

from __future__ import annotations

import math

from django.http import HttpRequest

from federation.detections.severity import THRESHOLDS
from federation.selectors.detection_pages import PPM, DetectionFilter
from flxdr.dashboard.periods import Period
from flxdr.dashboard.wanted import wanted

SEVERITIES = [(name, least / PPM) for name, least in THRESHOLDS]


def filter_of(request: HttpRequest) -> DetectionFilter:
    """The filters in the URL; what is none is left out."""
    period, least = Period.of(request), least_score_of(request)
    return DetectionFilter(
        family=wanted(request, "family"),
        org_id=wanted(request, "org"),
        technique=wanted(request, "technique"),
        state=wanted(request, "state"),
        since=period.start,
        before=period.end,
        least_ppm=0 if least is None else math.ceil(least * PPM - 1e-6),
    )


def least_score_of(request: HttpRequest) -> float | None:
    """`?score=`, a number from 0 to 1; None if it is none."""
    try:
        score = float(wanted(request, "score"))
    except ValueError:
        return None
    return score if 0 <= score <= 1 else None
