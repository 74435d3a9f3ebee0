"""A chain with three releases, and an operator who looks at its pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from flxdr.core.clock import ManualClock, SystemClock
from ledger.services import listeners
from ledger.services.genesis import ensure_genesis
from tests.ledger.members import Consortium
from tests.site.dashboard.visitors import superuser

MEMBERS = ["org-a", "org-b", "org-c"]


@pytest.fixture
def consortium(empty_ledger: None, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Consortium:
    """genesis, three admissions, releases at heights 4 to 6"""
    monkeypatch.setattr(listeners, "_listeners", [])
    clock.advance(SystemClock().now() - clock.now() - timedelta(hours=1))
    ensure_genesis(clock=clock)
    made = Consortium(clock)
    made.admit(*MEMBERS)
    for number in (1, 2, 3):
        made.release(number, MEMBERS)
    return made


@pytest.fixture
def client(consortium: Consortium) -> Client:
    return superuser()


def verify(client: Client) -> str:
    answer = client.post("/verify-chain", {"next": "ledger"}, follow=True)
    assert answer.redirect_chain == [("/ledger/", 302)]
    return " ".join(answer.content.decode().split())
