"""The rows of `make bench`: when a target is met, and how results are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import document
from benchmarks.__main__ import GROUPS, RESULTS, keep, runs_beside, table
from benchmarks.machine import Run
from benchmarks.measure import Prepared, Row, against_peer, alone
from benchmarks.reasons import REASONS

FIELDS = {"name", "ours", "peer", "ratio", "unit", "limit", "limit_ratio", "note"}


def row(name: str, *, ratio: float | None = None, limit_ratio: float | None = None, limit: float | None = None) -> Row:
    return Row(name, 0.5, None if ratio is None else 0.5 * ratio, ratio, "s", limit, limit_ratio, "a note")


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        (row("a.b", ratio=1.5, limit_ratio=1.5), True),
        (row("a.b", ratio=1.49, limit_ratio=1.5), False),
        (row("a.b", limit=0.5), True),
        (row("a.b", limit=0.49), False),
        (row("a.b", limit=0.49, ratio=3.0), False),
        (row("a.b", ratio=0.5), True),
        (row("a.b"), True),
    ],
)
def test_a_target_is_a_least_ratio_or_a_limit(measured: Row, holds: bool) -> None:
    assert measured.holds is holds
    assert set(measured.as_json()) == FIELDS
    assert table([measured]).row_count == 1


def test_the_ratio_is_above_one_when_ours_is_faster() -> None:
    def quick() -> list[int]:
        return []

    def slow() -> list[int]:
        return sorted(range(200_000), reverse=True)

    measured = against_peer("a.b", ours=lambda: quick, peer=lambda: slow, limit_ratio=1.0, note="", repeats=3)
    assert measured.ratio is not None
    assert measured.ratio > 1
    assert measured.holds


@pytest.mark.parametrize(
    ("measured", "target", "verdict"),
    [
        (row("a.b", ratio=1.5, limit_ratio=1.5), "ratio >= 1.5", "[green]met[/]"),
        (row("a.b", ratio=1.5, limit=0.25), "<= 0.25 s", "[red]missed[/]"),
        (row("a.b", ratio=0.5), "-", "-"),
        (row("a.b"), "-", "-"),
    ],
)
def test_a_row_without_a_target_only_informs(measured: Row, target: str, verdict: str) -> None:
    columns = [list(column.cells) for column in table([measured]).columns]
    assert columns[4:6] == [[target], [verdict]]


def test_a_slow_peer_is_timed_once_and_ours_as_often_as_asked() -> None:
    calls = {"ours": 0, "peer": 0}

    def counted(name: str) -> Prepared:
        def call() -> None:
            calls[name] += 1

        return lambda: call

    measured = against_peer("a.b", ours=counted("ours"), peer=counted("peer"), note="", repeats=3, peer_once=True)
    assert calls == {"ours": 4, "peer": 1}
    assert measured.peer is not None
    assert not measured.has_target
    assert alone("a.b", ours=counted("ours"), note="", repeats=3).peer is None
    assert calls == {"ours": 8, "peer": 1}


def test_a_group_replaces_its_own_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first, second = replace(Run.here_and_now(), load=0.1), replace(Run.here_and_now(), load=0.2)
    keep([row("payload.a", limit=1), row("payload.b", limit=1), row("round.a", limit=1)], first, path)
    keep([row("payload.c", limit=1)], second, path)
    entries = json.loads(path.read_text())
    assert [entry["name"] for entry in entries] == ["payload.c", "round.a"]
    assert all(set(entry) == FIELDS for entry in entries)
    assert document.read_runs(runs_beside(path)) == {"payload": second, "round": first}


def test_groups_are_named_as_their_rows() -> None:
    assert {each.group for each in document.read(RESULTS)} <= GROUPS.keys()
    assert row("masked.round.80k.secagg_adds").group == "masked"


def test_the_page_says_what_the_results_say(tmp_path: Path) -> None:
    written = tmp_path / "benchmarks.md"
    document.write(GROUPS, document.read(RESULTS), document.read_runs(runs_beside(RESULTS)), written)
    same = document.DOCUMENT.read_text() == written.read_text()
    assert same, "run `python -m benchmarks --document`"


def test_the_page_shows_targets_machines_and_what_is_missed(tmp_path: Path) -> None:
    written = tmp_path / "benchmarks.md"
    run = Run.here_and_now()
    rows = [row("payload.fine", limit=1), row("payload.slow", ratio=0.25, limit_ratio=2), row("payload.told")]
    document.write(GROUPS, rows, {"payload": run}, written)
    text = written.read_text()
    assert "3 rows, 2 with a target, 1 met." in text
    assert "| `payload.slow` | ratio 0.25 | ratio >= 2 | not known yet |" in text
    assert "| `payload.fine` | 0.5 s |  |  | <= 1 s | met |" in text
    assert f"Measured {run}." in text
    assert run.cores > 0
    assert run.memory_gb > 0


def test_every_missed_target_has_its_reason_and_no_other_row() -> None:
    assert {each.name for each in document.read(RESULTS) if not each.holds} == REASONS.keys()
