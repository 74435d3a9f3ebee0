"""Answers as they read, for the API's documentation; tests hold their shape against the real ones."""

from __future__ import annotations

from typing import Any

from privacy.selectors import SANITIZATION_NOTE

CONFIGURATION: dict[str, Any] = {
    "differential_privacy": {
        "epsilon": 1.0,
        "delta": 1e-5,
        "clipping_norm": 1.0,
        "status": "disabled",
        "mode": "none",
        "sampling_rate": None,
        "calibration": "analytic",
        "mechanism_required": False,
        "note": "Rounds declare no noise and charge nothing: updates have no differential-privacy guarantee.",
    },
    "homomorphic_encryption": "disabled",
    "secure_aggregation": "disabled",
    "gradient_sanitization": "enabled",
    "protection": "plain",
    "gradient_sanitization_details": {
        "update_checks": ["tensor names", "shape", "dtype", "finite", "range"],
        "largest_value": 8,
        "norm_bound": None,
        "norm_clipping": "disabled",
        "metadata_checks": ["names of metrics", "registrations"],
        "pii_removal": "enabled",
        "note": SANITIZATION_NOTE,
    },
}
BUDGET: dict[str, Any] = {
    "epsilon_total": 1.0,
    "epsilon_used": 0.0,
    "epsilon_remaining": 1.0,
    "rounds_trained": 5,
    "rounds_until_budget_exhausted": None,
    "unlimited": True,
    "rounds_unprotected": 5,
    "delta": 1e-5,
    "mode": "none",
    "note": "Rounds declare no noise and charge nothing: updates have no differential-privacy guarantee.",
    "org_id": "org-alpha",
}
