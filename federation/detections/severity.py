"""How grave a detection is called: the one place where a calibrated probability becomes a word.

The probability says how sure the model is that flows are an attack, after calibration on records that training did not
see. It says nothing of what is attacked, so the words order what to look at first and are no judgement of damage.
"""

from __future__ import annotations

from typing import Literal

Severity = Literal["critical", "high", "medium", "low"]

THRESHOLDS: tuple[tuple[Severity, int], ...] = (
    ("critical", 990_000),
    ("high", 950_000),
    ("medium", 800_000),
    ("low", 0),
)
"""The least score of each, in millionths, the gravest first."""


def severity_of(score_ppm: int) -> Severity:
    """The gravest one whose threshold the score reaches."""
    return next(name for name, least in THRESHOLDS if score_ppm >= least)
