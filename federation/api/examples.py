"""Request and response examples of the schema: the deployment guide's own."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from federation.aggregation.krum import Krum

_STARTED = "2026-01-15T10:30:00Z"
_ROUND = "round-1-abc123"
_NAMED = {"org_name": "Alpha Security Center", "key_status": "proven", "registered_at": _STARTED}


def _request(name: str, value: Any, media_type: str = "application/json") -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True, media_type=media_type)


def _response(name: str, value: dict[str, Any], code: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[code])


REGISTER = [
    _request(
        "registration",
        {
            "org_id": "org-alpha",
            "org_name": "Alpha Security Center",
            "data_sources": {
                "soc_logs": "/path/to/soc/logs",
                "pasm_embeddings": "/path/to/pasm",
                "threat_intel": "/path/to/intel",
            },
        },
    ),
    _response(
        "registered",
        {"org_id": "org-alpha", "registered_at": _STARTED, "status": "active", "key_status": "none"},
    ),
]

ORGANIZATIONS = [
    _response(
        "two organizations",
        {
            "organizations": [
                {"org_id": "org-alpha", "status": "active", "last_update": _STARTED, **_NAMED},
                {"org_id": "org-beta", "status": "active", "last_update": None, **_NAMED},
            ],
            "total": 2,
            "limit": 20,
            "offset": 0,
        },
    )
]


def _asked_for(action: str) -> dict[str, Any]:
    return {
        "id": 7,
        "action": action,
        "subject": "org-alpha",
        "reason": "its updates were poisoned",
        "status": "waiting",
        "requested_by": "operator:olivia",
        "requested_at": _STARTED,
        "expires_at": "2026-01-16T10:30:00Z",
        "decided_by": None,
        "decided_at": None,
    }


def _two_persons(action: str, status: str) -> list[OpenApiExample]:
    organization = {"org_id": "org-alpha", "registered_at": _STARTED, "status": status, "key_status": "proven"}
    return [
        _request("reason", {"reason": "its updates were poisoned"}),
        _response("asked for", _asked_for(action), "202"),
        _response("confirmed by a second operator", organization),
    ]


SUSPEND = _two_persons("suspend", "suspended")
READMIT = _two_persons("readmit", "active")

SIGN_IN = [
    _request("a link", {}),
    _response(
        "for one sign-in",
        {"url": "https://coordinator.example/member/sign-in/WyJvcmctYWxwaGEi:kZ3bX0/", "expires_in": 120},
    ),
]

ROUND_START = [
    _request("round", {"round_number": 1, "aggregation_method": "FedProx", "min_orgs_required": 2}),
    _request(
        "robust against two hostile organizations",
        {
            "model": "edge-classifier",
            "aggregation_method": "RobustAggregator",
            "aggregation_params": {"robust_method": "multi_krum", "byzantine": 2, "keep": 3},
        },
    ),
    _request(
        "a method's own parameter", {"aggregation_method": "FedProx", "aggregation_params": {"lambda_ppm": 20000}}
    ),
    _request(
        "a server optimiser",
        {
            "model": "edge-classifier",
            "aggregation_method": "FedAdam",
            "aggregation_params": {"server_rate_ppm": 10000, "beta1_ppm": 900000},
        },
    ),
    _request(
        "noise of its own",
        {
            "model": "edge-classifier",
            "privacy": {"mode": "record", "epsilon_ppm": 500000, "clip_ppm": 500000},
        },
    ),
    _response(
        "too few for the method",
        {
            "type": "urn:flxdr:error:too_few_organizations",
            "title": "Too few organizations",
            "status": 409,
            "code": "too_few_organizations",
            "detail": "3 organizations would take part and 5 are needed (5 for krum)",
            "expected": "at least 5 active organizations whose keys, if they have any, are admitted to the chain",
            "action": Krum.instead,
            "participants": ["org-alpha", "org-beta", "org-gamma"],
            "required": 5,
            "aggregation_minimum": 5,
        },
        code="409",
    ),
    _response(
        "a parameter out of range",
        {
            "type": "urn:flxdr:error:invalid_aggregation",
            "title": "Invalid aggregation method or parameter",
            "status": 422,
            "code": "invalid_aggregation",
            "detail": "lambda_ppm is -1",
            "expected": "an integer from 0 to 1000000: pull towards the previous model, in millionths",
            "parameter": "lambda_ppm",
        },
        code="422",
    ),
    _response(
        "started",
        {
            "round_id": _ROUND,
            "round_number": 1,
            "status": "in_progress",
            "participants": ["org-alpha", "org-beta"],
            "started_at": _STARTED,
            "model_name": "global",
            "config_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "deadline": "2026-01-15T10:40:00Z",
        },
    ),
]

_GRADIENT = {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 1024}
_BASE64 = {"data": "zczMPc3MTD6amZk+zczMPg==", "dtype": "float32", "shape": [2, 2], "samples_seen": 1024}
_METRICS = {"loss": 0.45, "accuracy": 0.92}

SUBMIT = [
    _request("lists", {"round_id": _ROUND, "org_id": "org-alpha", "gradient": _GRADIENT, "metrics": _METRICS}),
    _request("base64", {"round_id": _ROUND, "org_id": "org-alpha", "gradient": _BASE64, "metrics": _METRICS}),
    _response(
        "accepted",
        {
            "status": "accepted",
            "gradient_id": "grad-xyz",
            "received_at": "2026-01-15T10:31:00Z",
            "submission_digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "signed": False,
        },
        code="201",
    ),
]

ROUND_STATUS = [
    _response(
        "aggregating",
        {
            "round_id": _ROUND,
            "status": "aggregating",
            "orgs_submitted": 2,
            "orgs_expected": 2,
            "phase": "aggregation",
            "step": None,
            "protection": "plain",
            "convergence_metric": 0.0123,
            "round_number": 1,
            "model_name": "global",
            "min_orgs": 2,
            "missing": [],
            "unprotected": 2,
            "unsigned": 0,
            "metrics": {},
            "deadline": "2026-01-15T10:40:00Z",
            "finished_at": None,
            "failure_code": "",
            "failure_reason": "",
        },
    )
]

PARTICIPANTS = [
    _response(
        "one left out",
        {
            "round_id": _ROUND,
            "participants": [
                {
                    "org_id": "org-alpha",
                    "status": "submitted",
                    "update_norm": 0.412,
                    "cosine": 0.93,
                    "distance": 0.151,
                    "anomaly_score": 0.19,
                    "left_out_reason": None,
                    "reputation": {"accepted": 9, "left_out": 0, "missed": 1, "rejected": 0},
                },
                {
                    "org_id": "org-omega",
                    "status": "left_out",
                    "update_norm": 41.7,
                    "cosine": -0.88,
                    "distance": 42.1,
                    "anomaly_score": 57.3,
                    "left_out_reason": "farther from its neighbours than the selected updates",
                    "reputation": {"accepted": 2, "left_out": 7, "missed": 0, "rejected": 3},
                },
            ],
            "total": 2,
            "limit": 50,
            "offset": 0,
        },
    )
]

FEDERATION_STATUS = [
    _response(
        "after five rounds",
        {
            "current_round": 5,
            "total_orgs": 3,
            "active_orgs": 3,
            "global_model_version": "v5",
            "last_aggregation": "2026-01-15T10:45:00Z",
            "training_accuracy": 0.94,
            "privacy_budget_used": 0.23,
            "model_name": "global",
            "global_model_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    )
]

CAMPAIGN_START = [
    _request("ten rounds", {"model": "edge-classifier", "rounds": 10, "aggregation_method": "FedAvg"}),
    _request(
        "ten robust rounds",
        {
            "model": "edge-classifier",
            "rounds": 10,
            "aggregation_method": "RobustAggregator",
            "aggregation_params": {"robust_method": "trimmed_mean", "trim_ppm": 200000},
        },
    ),
]

_TAKEN = _response("taken", {"status": "accepted", "step": "shares"})
_SIGNED_STATEMENT = {
    "statement": "eyJjaGFpbl9pZCI6IjVjMi4uLiJ9",
    "key_id": "9f2c8e0b7d3a4c5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6",
    "signature": "MEUCIQDx",
}
MASKING_ADVERTISE = [_request("advertisement", _SIGNED_STATEMENT), _TAKEN]
MASKING_REVEAL = [_request("number", {"nonce": "5c" * 32}), _TAKEN]
MASKING_SHARE = [
    _request(
        "sealed shares",
        {"roster_hash": "5c" * 32, "shares": {"org-beta": "c2VhbGVk", "org-gamma": "c2VhbGVkIHRvbw=="}},
    ),
    _TAKEN,
]
MASKING_CONFIRM = [_request("confirmation", _SIGNED_STATEMENT), _TAKEN]
MASKING_UNMASK = [
    _request(
        "one of three dropped out",
        {"self_seeds": {"org-alpha": "00" * 33, "org-beta": "01" * 33}, "mask_keys": {"org-gamma": "02" * 33}},
    ),
    _TAKEN,
]
MASKING_OPEN = [_request("openings", "m and r of every ciphertext", "application/octet-stream"), _TAKEN]

_DETECTION = {
    "alert_id": "5c" * 16,
    "org_id": "org-alpha",
    "received_at": _STARTED,
    "family": "Scan",
    "technique": "T1046",
    "score": 0.994,
    "flows": 1312,
    "destinations": 256,
    "services": ["tcp/23", "tcp/2323"],
    "first_seen": "2026-01-15T10:12:00Z",
    "last_seen": "2026-01-15T10:21:00Z",
    "action": "block_ip",
    "model_name": "tgnn",
    "model_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "block_height": 12,
    "note": "",
    **_SIGNED_STATEMENT,
}
SHARE_DETECTION = [
    _request("a signed detection", _SIGNED_STATEMENT),
    _response("kept", _DETECTION, code="201"),
    _response("kept before", _DETECTION),
]
DETECTIONS = [_response("one detection", {"detections": [_DETECTION], "total": 1, "limit": 50, "offset": 0})]
