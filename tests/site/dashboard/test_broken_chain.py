"""Pages over a ledger that somebody changed: all of them open, and the ledger's say where it breaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flxdr.env import Env
from ledger.models import Block
from tests.conftest import SentTasks
from tests.ledger.members import tamper
from tests.support.showcase import SHOWN, Showcase

pytestmark = pytest.mark.django_db
PAGES = (
    "/",
    "/overview/panels",
    "/rounds/",
    "/rounds/start",
    "/organizations/",
    "/organizations/bank-north/",
    "/ledger/",
    "/ledger/proposals/",
    "/ledger/governance/",
    "/ledger/checkpoint/",
    "/privacy/",
    "/models/",
    "/models/edge-classifier/",
    "/models/edge-classifier/2/",
    "/detections/",
    "/audit/",
    "/notifications/",
    "/admin/ledger/block/",
)


@pytest.mark.parametrize("height", [0, 3, 12, "newest"])
def test_every_page_opens_and_the_ledger_says_where_it_breaks(
    height: int | str, sent_tasks: SentTasks, env: Callable[..., Env]
) -> None:
    env(**SHOWN)
    Showcase().build()
    broken = Block.objects.latest("height").height if isinstance(height, str) else height
    tamper("UPDATE blocks SET header = %s WHERE height = %s", b'{"forged": true}', broken)
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    client.force_login(User.objects.create_superuser("kim"), backend="django.contrib.auth.backends.ModelBackend")
    client.post("/verify-chain")
    paths = [*PAGES, f"/ledger/blocks/{broken}/", f"/ledger/blocks/{max(broken - 1, 0)}/"]
    answers = {path: client.get(path).status_code for path in paths}
    assert {path: status for path, status in answers.items() if status != 200} == {}
    for path in ("/", "/ledger/"):
        page = client.get(path).content.decode()
        assert "badge bad" in page
        assert f"block {broken}" in page.lower()
