"""The guide's Python snippet."""

from __future__ import annotations

import pytest

from federation.models import Campaign, TrainingRound
from federation.orchestrator import get_federation_orchestrator
from flxdr.core.errors import Malformed

pytestmark = pytest.mark.django_db


def test_the_guides_snippet_works() -> None:
    orchestrator = get_federation_orchestrator()
    assert orchestrator is get_federation_orchestrator()
    org_data = {"org_name": "Alpha Security Center", "data_sources": {"soc_logs": "/path/to/soc/logs"}}
    assert orchestrator.register_organization("org-alpha", org_data)["status"] == "active"
    orchestrator.register_organization("org-beta")
    round_id = orchestrator.start_training_round()
    assert TrainingRound.objects.get().round_id == round_id
    assert orchestrator.round_status(round_id)["orgs_expected"] == 2
    assert orchestrator.federation_status()["current_round"] == 1


def test_campaigns_start_from_it() -> None:
    orchestrator = get_federation_orchestrator()
    orchestrator.register_organization("org-alpha")
    orchestrator.register_organization("org-beta")
    number = orchestrator.start_campaign(rounds=2)
    assert Campaign.objects.get().pk == number


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(Malformed):
        get_federation_orchestrator().register_organization("org-alpha", {"orgname": "typo"})
