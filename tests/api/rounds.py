"""Federations in the states that the API's tests start from, made through the API itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings

from federation.models import TrainingRound
from federation.services.aggregation import aggregate_round
from flxdr.core.clock import SystemClock
from ledger.models import Proposal
from ledger.services.approvals import countersign
from tests.api.callers import organization, own_user, stranger

# What a refused request may not add to. `UsedToken` is not among them: a refused write still spends its token.
_TABLES = ("federation", "ledger", "privacy", "platform")


def register(org_id: str, **fields: Any) -> Any:
    return stranger().post("federation/register", {"org_id": org_id, "org_name": org_id.title(), **fields})


def start_round(**fields: Any) -> dict[str, Any]:
    response = own_user().post("federation/round/start", fields)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def open_round(*org_ids: str, **fields: Any) -> str:
    """Register organisations without keys and start a round; its id."""
    for org_id in org_ids:
        assert register(org_id).status_code == 200
    return str(start_round(**fields)["round_id"])


def update(round_id: str, org_id: str, **gradient: Any) -> dict[str, Any]:
    """The guide's submission."""
    return {
        "round_id": round_id,
        "org_id": org_id,
        "gradient": {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 1024} | gradient,
        "metrics": {"loss": 0.45, "accuracy": 0.92},
    }


def submit(round_id: str, org_id: str, **gradient: Any) -> Any:
    return organization(org_id).post("federation/round/submit-gradient", update(round_id, org_id, **gradient))


def run_due_work() -> None:
    """What the worker would do now: aggregate what is closed, countersign what is proposed."""
    clock = SystemClock()
    for round_id in TrainingRound.objects.filter(status="aggregating").values_list("round_id", flat=True):
        aggregate_round(round_id=round_id, clock=clock)
    for proposal_id in Proposal.objects.filter(status="open").values_list("id", flat=True):
        countersign(proposal_id=proposal_id, clock=clock)


def stored() -> tuple[Counter[str], frozenset[Path]]:
    """How many rows every table has, and which files are stored."""
    models = [model for label in _TABLES for model in apps.get_app_config(label).get_models()]
    rows = Counter(
        {model.__name__: model._default_manager.count() for model in models if model.__name__ != "UsedToken"}
    )
    folder = settings.FLXDR.data_dir / "blobs"
    return rows, frozenset(path for path in folder.rglob("*") if path.is_file())
