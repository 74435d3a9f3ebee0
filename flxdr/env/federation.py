"""Rounds: time-outs, limits, retention."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.platform.configuration import integer, real, variable

GROUP = "Federation"


@dataclass(frozen=True)
class Federation:
    """The group *Federation*."""

    federation_timeout: int = variable(
        "FL_FEDERATION_TIMEOUT",
        integer(1, 30 * 86400),
        "600",
        "seconds until a round's collection ends",
        group=GROUP,
    )
    max_org_failure_rate: float = variable(
        "FL_MAX_ORG_FAILURE_RATE",
        real(at_least=0, at_most=1),
        "0.3",
        "share of a round's organisations that may miss it",
        group=GROUP,
    )
    update_retention_days: int = variable(
        "FL_UPDATE_RETENTION_DAYS",
        integer(0, 36500),
        "0",
        "days for which an ended round's updates are kept, so that its release can be recomputed. 0: for ever",
        group=GROUP,
    )
    detections_per_hour: int = variable(
        "FL_DETECTIONS_PER_HOUR",
        integer(1, 1_000_000),
        "120",
        "detections that one organisation may share within an hour",
        group=GROUP,
    )
    max_submission_bytes: int = variable(
        "FL_MAX_SUBMISSION_BYTES",
        integer(1024, 16 * 2**30),
        str(256 * 2**20),
        "largest accepted body of a submission",
        group=GROUP,
    )
