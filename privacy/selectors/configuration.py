"""The privacy configuration, as it is in force."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from models_ml.fixed_point import MAX_UPDATE
from privacy.mechanism import NONE, ORGANIZATION, RECORD

NOTES = {
    NONE: "Rounds declare no noise and charge nothing: updates have no differential-privacy guarantee.",
    ORGANIZATION: "Every organisation clips its whole update and adds noise to it. With few organisations this noise "
    "destroys the model: of ten on a small task, at epsilon 1, accuracy fell from 0.81 to between 0.58 and 0.66, where "
    "noise for single records left it at 0.81. Prefer FL_PRIVACY_MODE=record.",
    RECORD: "Every organisation trains with noise that protects its single records (DP-SGD). The number of records, "
    "and scores on records held out from training that organisations choose to attest, are not protected.",
}
SANITIZATION_NOTE = (
    "Updates that fail a check are refused, never altered. Of a masked one only its length can be checked, and whether "
    "the sum is in range. Only mode `organization` sets a bound on an update's norm: organisations clip to it. "
    "Identifiers are kept out on the organisation's machine, before features exist; names of metrics and registrations "
    "that hold one are refused."
)
IN_THE_CLEAR = "plain"
"""The protection under which the coordinator sees, and can check, single updates."""
CHECKS_IN_THE_CLEAR = ("tensor names", "shape", "dtype", "finite", "range")
CHECKS_OF_MASKED = ("length", "range of the sum")


def configuration() -> dict[str, Any]:
    """The guide's privacy configuration, told as it is: `enabled` means built, configured and in force.

    What is said of protections holds for rounds that name none of their own.
    """
    env = settings.FLXDR
    whole = env.privacy_mode == ORGANIZATION
    masked = env.protection != IN_THE_CLEAR
    return {
        "differential_privacy": {
            "epsilon": env.privacy_epsilon,
            "delta": env.privacy_delta,
            "clipping_norm": env.privacy_clipping_norm,
            "status": "disabled" if env.privacy_mode == NONE else "enabled",
            "mode": env.privacy_mode,
            "sampling_rate": env.privacy_sampling_rate if env.privacy_mode == RECORD else None,
            "calibration": env.privacy_calibration,
            "mechanism_required": env.privacy_required,
            "note": NOTES[env.privacy_mode],
        },
        "homomorphic_encryption": "enabled" if env.protection == "paillier" else "disabled",
        "secure_aggregation": "enabled" if masked else "disabled",
        "gradient_sanitization": "enabled",
        "protection": env.protection,
        "gradient_sanitization_details": {
            "update_checks": CHECKS_OF_MASKED if masked else CHECKS_IN_THE_CLEAR,
            "largest_value": MAX_UPDATE,
            "norm_bound": env.privacy_clipping_norm if whole else None,
            "norm_clipping": "enabled" if whole else "disabled",
            "metadata_checks": ["names of metrics", "registrations"],
            "pii_removal": "enabled",
            "note": SANITIZATION_NOTE,
        },
    }
