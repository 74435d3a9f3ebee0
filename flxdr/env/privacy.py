"""What protects updates."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.env.modes import DEVELOPMENT, PRODUCTION
from flxdr.platform.configuration import boolean, choice, integer, real, variable

GROUP = "Privacy"


@dataclass(frozen=True)
class Privacy:
    """The group *Privacy*."""

    privacy_epsilon: float = variable(
        "FL_PRIVACY_EPSILON",
        real(above=0, at_most=1000),
        "1.0",
        "total differential-privacy budget (lower is stronger)",
        group=GROUP,
    )
    privacy_delta: float = variable(
        "FL_PRIVACY_DELTA", real(above=0, below=1), "1e-5", "failure probability of the guarantee", group=GROUP
    )
    privacy_clipping_norm: float = variable(
        "FL_PRIVACY_CLIPPING_NORM",
        real(above=0, at_most=1e6),
        "1.0",
        "L2 clipping threshold: of a record's gradient in mode `record`, of a whole update in mode `organization`",
        group=GROUP,
    )
    privacy_sampling_rate: float = variable(
        "FL_PRIVACY_SAMPLING_RATE",
        real(above=0.001, at_most=1),
        "0.1",
        "probability of each record to be drawn in a step of training in mode `record`; an epoch is 1/rate steps",
        group=GROUP,
    )
    privacy_mode: str = variable(
        "FL_PRIVACY_MODE",
        choice("none", "organization", "record"),
        {DEVELOPMENT: "none", PRODUCTION: "record"},
        "what the noise of a round protects: nothing, single records, or an organisation's whole update; the last one "
        "destroys the model where few organisations take part (docs/privacy.md has the figures)",
        group=GROUP,
    )
    privacy_calibration: str = variable(
        "FL_PRIVACY_CALIBRATION",
        choice("analytic", "classic"),
        "analytic",
        "how the noise of mode `organization` is calibrated: Balle & Wang 2018, or sqrt(2 ln(1.25/delta))/epsilon",
        group=GROUP,
    )
    privacy_required: bool = variable(
        "FL_PRIVACY_REQUIRED",
        boolean(),
        {DEVELOPMENT: "false", PRODUCTION: "true"},
        "refuse updates that declare no privacy mechanism",
        group=GROUP,
    )
    protection: str = variable(
        "FL_PROTECTION",
        choice("plain", "secagg", "paillier"),
        "plain",
        "what the coordinator sees of updates: each one (`plain`), or their sum alone (`secagg`, or `paillier`, which "
        "encrypts the masked updates as well; both for three or more organisations)",
        group=GROUP,
    )
    paillier_modulus_bits: str = variable(
        "FL_PAILLIER_MODULUS_BITS",
        choice("2048", "3072", "4096"),
        "3072",
        "size of the keys of `paillier` rounds",
        group=GROUP,
    )
    masking_step_timeout: int = variable(
        "FL_MASKING_STEP_TIMEOUT",
        integer(1, 86400),
        "60",
        "seconds for each step of a masked collection after the first; who has not answered by then has dropped out",
        group=GROUP,
    )
