"""A round fails, and an operator who looks at no page is told: beat, worker and webhook as they run in earnest."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.notifications.servers import Hook, MailServer, serving
from tests.support.processes import API, Coordinator, eventually

SECRET = "of-this-test-alone"


def test_a_failed_round_reaches_the_operators(tmp_path: Path) -> None:
    """The mail server refuses everything, which keeps nothing from the webhook."""
    with serving(Hook()) as hook, serving(MailServer()) as mail:
        mail.answer = "451 not now"
        environment = {
            "FL_LOG_LEVEL": "DEBUG",
            "FL_FEDERATION_TIMEOUT": "1",
            "FL_PUBLIC_URL": "http://fl.example.org",
            "FL_NOTIFY_EMAIL": "kim@example.org",
            "FL_NOTIFY_FROM": "fl@example.org",
            "FL_NOTIFY_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
            "FL_NOTIFY_WEBHOOK_URL": hook.url,
            "FL_NOTIFY_WEBHOOK_SECRET": SECRET,
        }
        with Coordinator(tmp_path / "state", environment) as coordinator:
            round_id = _failing_round(coordinator)
            posted = eventually(lambda: hook.posted, what="the webhook is called", timeout=90)[0]
            eventually(lambda: "451 not now" in coordinator.log.read_text(), what="the mail server refuses")
    assert posted.document["kind"] == "round_failed"
    assert posted.document["url"] == f"http://fl.example.org/rounds/{round_id}/"
    log = coordinator.log.read_text() + (coordinator.data_dir / "backend.log").read_text()
    assert round_id in log
    assert "of-nobody-else" not in log, "the webhook's address"
    assert SECRET not in log


def _failing_round(coordinator: Coordinator) -> str:
    with httpx.Client(base_url=f"{coordinator.url}{API}") as client:
        for org_id in ("org-alpha", "org-beta"):
            declared = {"org_id": org_id, "org_name": org_id, "data_sources": {"logs": "zeek"}}
            client.post("/federation/register", json=declared).raise_for_status()
        started = client.post("/federation/round/start", json={"min_orgs_required": 2}).raise_for_status()
    return str(started.json()["round_id"])
