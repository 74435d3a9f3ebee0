"""The audit page: every event a sentence, found by filters in bounded time, exported as it is shown."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from flxdr.core.clock import ManualClock
from flxdr.dashboard.audit.exporting import export_events, neutral
from flxdr.dashboard.audit.reading import link_of
from flxdr.dashboard.audit.wording import GROUPS, SENTENCES, sentence_of
from flxdr.env import Env
from flxdr.platform.audit import record_event, search
from flxdr.platform.audit.search import EventFilter
from flxdr.platform.models import AuditEvent
from tests.conftest import SentTasks
from tests.site.dashboard.visitors import staff, superuser, text_of
from tests.support.showcase import SHOWN, Showcase

pytestmark = pytest.mark.django_db
START = datetime(2031, 5, 1, tzinfo=UTC)


def told(kind: str, actor: str = "operator:alice", subject: str = "round-1", *, day: int = 0, **data: Any) -> None:
    with transaction.atomic():
        record_event(kind=kind, actor=actor, subject=subject, data=data, clock=ManualClock(START + timedelta(days=day)))


@pytest.fixture
def trail() -> None:
    told("round.started", model="edge")
    told("submission.accepted", "org-a", samples=70, day=1)
    told("round.transition", "coordinator", day=2, **{"from": "collection", "to": "aggregating"})
    told("block.sealed", "coordinator", "block 7", day=3, type="release")
    told("organization.suspended", subject="org-b", day=4)


def shown(page: str) -> list[str]:
    """The events' sentences on a page, oldest first, without their marks."""
    items = page.partition('<ol class="trail">')[2].partition("</ol>")[0].split("<li>")[1:]
    sentences = [item.partition("<p>")[2].partition("</p>")[0] for item in items]
    return [" ".join(re.sub("<[^>]*>", " ", sentence).split()) for sentence in reversed(sentences)]


@pytest.mark.usefixtures("trail")
def test_events_are_sentences_with_links() -> None:
    client = superuser()
    page = text_of(client, "/audit/?from=2031-05-01")
    assert shown(page) == [
        "operator:alice started round-1 for edge",
        "org-a submitted an update to round-1 , 70 samples",
        "coordinator moved round-1 from collection to aggregating",
        "coordinator sealed block 7 (release)",
        "operator:alice suspended org-b",
    ]
    for link in ("/rounds/round-1/", "/ledger/blocks/7/", "/organizations/org-b/", "?actor=org-a"):
        assert f'href="{link}"' in page


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("kind=round.", [0, 2]),
        ("kind=round.started", [0]),
        ("kind=nonsense", []),
        ("actor=coordinator", [2, 3]),
        ("subject=round-1", [0, 1, 2]),
        ("subject=round", []),
        ("q=OUND-", [0, 1, 2]),
        ("q=%25", []),
        ("kind=round.&actor=coordinator&q=round", [2]),
        ("from=2031-05-02&to=2031-05-03", [1, 2]),
        ("kind=round.started&from=2031-05-02", []),
        ("from=2041-01-01", []),
        ("q=%00", []),
        ("kind=%00.&actor=%00", []),
    ],
)
def test_filters(query: str, days: list[int]) -> None:
    page = text_of(superuser(), f"/audit/?{query}" + ("" if "from=" in query else "&from=2031-05-01"))
    dates = [f"2031-05-0{1 + day} 00:00:00 UTC" for day in days]
    found = re.findall(r"2031-05-\d\d 00:00:00 UTC", page)
    assert found == dates[::-1]
    assert ("No event matches" in page) == (not days)


@pytest.mark.parametrize("query", ["page=abc", "from=2026-99-99&to=x", f"before={10**40}&after=x", "before=-5"])
def test_garbage_in_the_address_is_no_error(query: str) -> None:
    assert superuser().get(f"/audit/?{query}").status_code == 200


def test_names_are_escaped_and_details_shown() -> None:
    told("round.started", "<b>eve</b>", "<i>x</i>", model="<u>", parts=["a", "b"], is_new=True)
    page = text_of(superuser(), "/audit/")
    assert "&lt;b&gt;eve&lt;/b&gt;" in page
    assert "&lt;u&gt;" in page
    assert "<dt>parts</dt> <dd> a, b </dd>" in page
    assert "<dt>is new</dt> <dd> true </dd>" in page
    for raw in ("<b>eve", "<i>x", "<u>"):
        assert raw not in page


def test_the_filter_shows_the_kind_that_it_filters_by() -> None:
    client = superuser()
    for kind in ("round.", "round.started", "made.up"):
        page = text_of(client, f"/audit/?kind={kind}")
        assert page.count(" selected") == 1
        assert f'<option value="{kind}" selected>' in page
    assert " selected" not in text_of(client, "/audit/")


def test_pages_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flxdr.dashboard.audit.reading.PAGE_SIZE", 4)
    for number in range(10):
        told("round.started", subject=f"round-{number}", model="m")
    client = superuser()
    seen, path = [], "/audit/?kind=round.started"
    while True:
        page = text_of(client, path)
        seen.append([sentence.split()[2] for sentence in shown(page)])
        if 'rel="next"' not in page:
            break
        path = "/audit/" + page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    rounds = [f"round-{number}" for number in range(10)]
    assert seen == [rounds[6:], rounds[2:6], rounds[:2]]
    assert "10 events" in page
    back = page.partition('rel="prev" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert [sentence.split()[2] for sentence in shown(text_of(client, f"/audit/{back}"))] == rounds[2:6]


def test_a_search_without_an_index_looks_at_so_many_events_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SCANNED", 5)
    told("round.started", subject="needle", model="m")
    for number in range(12):
        told("round.started", subject=f"round-{number}", model="m")
    client = superuser()
    path, looked = "/audit/?q=needle", 0
    while "needle</" not in (page := text_of(client, path)).partition('<ol class="trail">')[2]:
        assert "The search goes on with older events" in page
        path = "/audit/" + page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        looked += 1
    assert looked >= 2
    forwards = AuditEvent.objects.get(subject="needle").pk - 1
    page = text_of(client, f"/audit/?q=needle&after={forwards}")
    assert "needle</" in page
    assert 'rel="prev"' in page


def test_queries_do_not_grow_with_the_trail(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    client = superuser()
    for number in range(60):
        told("block.sealed", subject=f"block {number}", type="release")
    for query in ("", "?kind=block.", "?actor=operator:alice", "?from=2031-01-01&q=block"):
        with django_assert_max_num_queries(9):
            client.get(f"/audit/{query}")


def test_every_kind_that_the_code_writes_has_a_sentence(sent_tasks: SentTasks, env: Callable[..., Env]) -> None:
    env(**SHOWN)
    Showcase().build()
    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    for app in ("flxdr", "federation", "ledger", "privacy"):
        for file in Path(settings.BASE_DIR, app).rglob("*.py"):
            if "/agent/" not in str(file):
                kinds |= set(re.findall(r'(?:kind=|_record\((?:\w+, )?)"([a-z_]+\.[a-z_]+)"', file.read_text()))
    assert len(kinds) > 30
    assert kinds - set(SENTENCES) == set()


def test_every_kind_is_in_a_group_and_every_group_has_a_kind() -> None:
    assert {f"{kind.partition('.')[0]}." for kind in SENTENCES} - {"genesis."} == set(GROUPS)


@pytest.mark.parametrize("kind", [*SENTENCES, "something.new"])
def test_a_sentence_holds_its_subject_once_and_bears_missing_details(kind: str) -> None:
    said = sentence_of(kind, {})
    assert "\ufffc" not in said.before + said.after
    assert "%" not in said.before + said.after
    assert sentence_of(kind, {"subject": "forged", "model": "%(x)s"}).before.count("forged") == 0


@pytest.mark.parametrize(
    ("kind", "subject", "link"),
    [
        ("round.step", "round-7", "/rounds/round-7/"),
        ("confirmation.requested", "round-7", "/rounds/round-7/"),
        ("proposal.opened", "proposal 12", "/ledger/proposals/?number=12"),
        ("checkpoint.cosigned", "checkpoint 9", "/ledger/checkpoint/"),
        ("chain.verified", "chain", "/ledger/"),
        ("model.released", "ab" * 32, f"/ledger/lineage/{'ab' * 32}/"),
        ("block.sealed", "block ²", ""),
        ("block.sealed", f"block {'9' * 400}", ""),
        ("organization.left", "a/b", ""),
        ("something.new", "x", ""),
    ],
)
def test_links(kind: str, subject: str, link: str) -> None:
    assert link_of(kind, subject) == link


# the export


def exported(client: Client, file_format: str, query: str = "") -> str:
    answer = client.post(f"/audit/export{query}", {"format": file_format})
    assert answer.status_code == 200
    assert f'.{file_format}"' in answer["Content-Disposition"]
    return answer.getvalue().decode()


@pytest.mark.usefixtures("trail")
def test_an_export_holds_what_the_filters_show() -> None:
    client = superuser()
    rows = list(csv.DictReader(io.StringIO(exported(client, "csv", "?subject=round-1"))))
    assert [row["kind"] for row in rows] == ["round.started", "submission.accepted", "round.transition"]
    assert rows[1]["at"] == "2031-05-02T00:00:00.000000Z"
    assert json.loads(rows[1]["data"]) == {"samples": 70}
    lines = [json.loads(line) for line in exported(client, "jsonl", "?subject=round-1").splitlines()]
    assert [line["id"] for line in lines] == [int(row["id"]) for row in rows]
    assert lines[2]["data"] == {"from": "collection", "to": "aggregating"}


@pytest.mark.usefixtures("trail")
def test_an_export_is_an_event_that_names_filters_and_rows() -> None:
    client = superuser()
    exported(client, "csv", "?subject=round-1&from=2031-05-01&kind=%20")
    event = AuditEvent.objects.get(kind="audit.exported")
    assert event.actor == "operator:root"
    assert event.data["filters"] == {"subject": "round-1", "since": "2031-05-01T00:00:00+00:00"}
    assert (event.data["format"], event.data["rows"]) == ("csv", 3)
    whole = exported(client, "jsonl")
    event = AuditEvent.objects.filter(kind="audit.exported").latest("id")
    assert event.data["rows"] == len(whole.splitlines())


def test_nothing_leaves_before_the_event_is_written(clock: ManualClock) -> None:
    lines = export_events(wanted=EventFilter(), file_format="csv", actor="a", clock=clock)
    assert AuditEvent.objects.filter(kind="audit.exported").exists()
    assert next(lines).startswith(b"id,at,kind")


def test_an_export_is_read_in_batches(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries, clock: ManualClock
) -> None:
    monkeypatch.setattr(search, "EVENTS_PER_QUERY", 10)
    for number in range(25):
        told("round.started", subject=f"round-{number}", model="m")
    lines = export_events(wanted=EventFilter(kind="round."), file_format="jsonl", actor="a", clock=clock)
    with django_assert_max_num_queries(1):
        first = [next(lines) for _ in range(10)]
    assert len(first) + len(list(lines)) == 25


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_a_spreadsheet_calculates_nothing(start: str) -> None:
    told("round.started", subject=f"{start}HYPERLINK(1)", model="m")
    (row,) = csv.DictReader(io.StringIO(exported(superuser(), "csv", "?kind=round.started"), newline=""))
    assert row["subject"] == f"'{start}HYPERLINK(1)"
    assert neutral("plain") == "plain"


@pytest.mark.usefixtures("trail")
def test_only_those_who_may_export_do() -> None:
    viewer = staff("platform.view_auditevent")
    assert "Export CSV" not in text_of(viewer, "/audit/")
    assert viewer.post("/audit/export", {"format": "csv"}).status_code == 403
    assert not AuditEvent.objects.filter(kind="audit.exported").exists()


@pytest.mark.usefixtures("trail")
def test_an_export_needs_a_post_with_its_token() -> None:
    assert superuser().get("/audit/export").status_code == 405


def test_others_see_nothing() -> None:
    assert staff("ledger.view_block").get("/audit/").status_code == 403
    assert Client(headers={"host": "localhost"}).get("/audit/").status_code == 302
