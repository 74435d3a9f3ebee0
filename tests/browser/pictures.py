"""Which pages are pictured in docs/, by the name of their route, and as which file."""

PICTURES = {
    "overview": "overview",
    "rounds:index": "rounds",
    "rounds:start": "start-a-round",
    "rounds:detail": "round",
    "organizations:index": "organisations",
    "organizations:detail": "organisation",
    "confirmations:index": "confirmations",
    "ledger:index": "ledger",
    "ledger:block": "block",
    "privacy:index": "privacy",
    "models:index": "models",
    "models:version": "model",
    "detections:index": "detections",
    "detections:detail": "detection",
    "audit:index": "audit",
    "notifications:index": "notifications",
}
ON_A_PHONE = ("overview", "round")
