"""Alert rules, dashboard and documentation speak of metrics that exist; alerts fire when they should, and only then."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from django.conf import settings

from flxdr.env import BASE_DIR
from tests.support.metric_names import declared
from tests.support.promql import NotOfAMoment, Scrape, asked, evaluate

PROMETHEUS = BASE_DIR / "deploy" / "prometheus"
DASHBOARD = BASE_DIR / "deploy" / "grafana" / "flxdr.json"
DOCUMENT = BASE_DIR / "docs" / "monitoring.md"
OF_PROMETHEUS = {"up": {"job", "instance"}}
TARGET = {"job", "instance"}
"""Labels that Prometheus adds to every series."""


@pytest.fixture
def now() -> float:
    """`evaluate` tells the time by the machine's clock."""
    return time.time()


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return document


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_asks_for_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    known = {series: {*metric.labels, *TARGET} for metric in declared() for series in metric.series} | OF_PROMETHEUS
    promql_parser.parse(expression)
    series = list(asked(expression))
    assert series
    for each in series:
        assert each.name in known, f"{where}: {each.name}"
        assert each.labels <= known[each.name] | {"le"}, f"{where}: {each}"


def test_the_search_for_names_finds_those_that_are_wrong() -> None:
    found = list(asked('sum by (modle) (rate(flxdr_rouds{status="x"}[5m])) / max(other) > 1'))
    assert {each.name for each in found} == {"flxdr_rouds", "other"}
    assert found[0].labels == {"modle", "status"}


def test_every_alert_is_explained_under_its_own_name() -> None:
    headings = set(re.findall(r"^### (\w+)$", DOCUMENT.read_text(), flags=re.MULTILINE))
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 12
    for rule in rules():
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")
    assert {heading for heading in headings if heading.startswith("Flxdr")} == set(names)


def test_the_documents_table_is_what_the_code_declares() -> None:
    rows = re.findall(r"^\| `(flxdr_\w+)` \| (\w+) \| (.+?) \| (.+) \|$", DOCUMENT.read_text(), flags=re.MULTILINE)
    shown = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert sorted(shown) == sorted((each.name, each.kind, each.labels, each.help) for each in declared())


def test_what_the_deployment_guide_wants_tracked_is_there() -> None:
    names = {metric.name.removeprefix("flxdr_").removeprefix("privacy_") for metric in declared()}
    assert names >= {
        *("current_round", "total_orgs", "active_orgs", "training_accuracy"),
        *("epsilon_used", "epsilon_remaining", "sanitization_rate"),
        *("convergence_metric", "gradient_norm", "org_failure_rate"),
        *("blocks_verified", "chain_valid", "block_height"),
    }


def test_the_dashboard_is_whole() -> None:
    document = dashboard()
    identifiers = [panel["id"] for panel in document["panels"]]
    assert len(identifiers) == len(set(identifiers))
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in document["panels"]}
    assert len(places) == len(identifiers)
    assert all(panel["description"] and panel["title"] for panel in panels())
    variables = {variable["name"] for variable in document["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(document["panels"])))
    assert used <= variables | {"value"}
    rows = {panel["title"] for panel in document["panels"] if panel["type"] == "row"}
    assert rows >= {"Federation", "Privacy", "Aggregation quality", "Ledger", "Requests", "Workers and queue"}


def test_prometheus_scrapes_what_the_coordinator_serves() -> None:
    (job,) = yaml.safe_load((PROMETHEUS / "scrape.yml").read_text())["scrape_configs"]
    assert (job["job_name"], job["metrics_path"], job["authorization"]["type"]) == ("flxdr", "/metrics", "Bearer")
    assert "credentials" not in job["authorization"], "a token belongs into a file"


def test_the_tasks_that_the_dashboard_follows_are_sent_by_the_beat() -> None:
    names = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    (pattern,) = {match for _, expression in EXPRESSIONS for match in re.findall(r'task=~"([^"]+)"', expression)}
    assert len([name for name in names if re.fullmatch(pattern, name)]) == 4


HEALTHY = """
up 1
flxdr_source_up{source="queue"} 1
flxdr_workers 2
flxdr_notifications_reviewed_timestamp_seconds {now}
flxdr_queue_messages 3
flxdr_disk_free_bytes 5e10
flxdr_disk_size_bytes 1e11
flxdr_outbox_oldest_age_seconds 4
flxdr_backup_timestamp_seconds {now}
flxdr_block_height 9
flxdr_notifications_open{severity="critical"} 0
flxdr_chain_valid 1
flxdr_chain_verified_timestamp_seconds {now}
flxdr_open_round_overdue_seconds{model="tgnn"} 3
flxdr_rounds_stalled 0
flxdr_org_failure_rate{model="tgnn"} 0.2
flxdr_privacy_organizations_short 0
flxdr_privacy_rounds_left 4
"""
BROKEN = {
    "FlxdrDown": "up 0",
    "FlxdrSourceDown": 'flxdr_source_up{source="queue"} 0',
    "FlxdrNoWorker": "flxdr_workers 0",
    "FlxdrNoBeat": "flxdr_notifications_reviewed_timestamp_seconds {long ago}",
    "FlxdrQueueGrows": "flxdr_queue_messages 501",
    "FlxdrDiskNearlyFull": "flxdr_disk_free_bytes 9e9",
    "FlxdrOutboxStuck": "flxdr_outbox_oldest_age_seconds 1000",
    "FlxdrBackupOld": "flxdr_backup_timestamp_seconds {long ago}",
    "FlxdrBackupMissing": "flxdr_backup_timestamp_seconds",
    "FlxdrNotificationCritical": 'flxdr_notifications_open{severity="critical"} 1',
    "FlxdrChainInvalid": "flxdr_chain_valid 0",
    "FlxdrChainUnverified": "flxdr_chain_verified_timestamp_seconds {long ago}",
    "FlxdrRoundOverdue": 'flxdr_open_round_overdue_seconds{model="tgnn"} 61',
    "FlxdrRoundStalled": "flxdr_rounds_stalled 1",
    "FlxdrOrganizationsMissing": 'flxdr_org_failure_rate{model="tgnn"} 0.4',
    "FlxdrBudgetNearlyExhausted": "flxdr_privacy_organizations_short 1",
    "FlxdrBudgetExhausted": "flxdr_privacy_rounds_left 0",
}
"""By alert, the line that takes the place of the healthy one; without a value, the line is not there."""
LOOK_BACK = {"FlxdrErrors", "FlxdrTasksFail"}


def scrape(change: str | None, now: float) -> Scrape:
    lines = HEALTHY.strip().splitlines()
    if change is not None:
        series = change.split("{long")[0].rsplit(" ", 1)[0] if " " in change else change
        lines = [line for line in lines if not line.startswith(f"{series} ")]
        lines += [change] if " " in change else []
    text = "\n".join(lines).replace("{now}", str(now)).replace("{long ago}", str(now - 3 * 86400))
    return Scrape.of(f"{text}\n", job="flxdr", instance="fl.example.org:8000")


def firing(found: Scrape) -> set[str]:
    return {rule["alert"] for rule in rules() if rule["alert"] not in LOOK_BACK and evaluate(rule["expr"], found)}


def test_nothing_fires_while_all_is_well(now: float) -> None:
    assert firing(scrape(None, now)) == set()


def test_nothing_fires_on_a_coordinator_that_has_just_started(now: float) -> None:
    assert firing(Scrape.of("up 1\nflxdr_workers 1\nflxdr_block_height 0\n", job="flxdr", instance="x")) == set()


@pytest.mark.parametrize("alert", BROKEN)
def test_an_alert_fires_for_its_reason_and_no_other_does(alert: str, now: float) -> None:
    assert firing(scrape(BROKEN[alert], now)) == {alert}


def test_every_alert_is_tried() -> None:
    assert {rule["alert"] for rule in rules()} == BROKEN.keys() | LOOK_BACK
    for rule in rules():
        if rule["alert"] in LOOK_BACK:
            with pytest.raises(NotOfAMoment):
                evaluate(rule["expr"], scrape(None, 0.0))
