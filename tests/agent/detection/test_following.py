"""Following a log: what is written is there soon, through rotation, and a pipe ends when it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.agent.detection.following import Following
from federation.agent.detection.reading import STDIN, FlowSource
from federation.agent.errors import DataInvalid
from models_ml.adapters.reading import Reading
from models_ml.edge_stream import EdgeStream
from tests.agent.flows import write_flows

WAIT = 0.05
PATIENCE = 5.0
Lines = list[str]


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return write_flows(tmp_path / "made.csv", seed=2).read_text().splitlines(keepends=True)


def following(path: Path, **options: float) -> Following:
    return Following(FlowSource(path, "", Reading(bytes(32))), wait=WAIT, poll=0.005, **options)  # type: ignore[arg-type]


def until(pieces: Iterator[EdgeStream], count: int) -> list[float]:
    """Times of flows until there are `count`, fewer if none come any more."""
    times: list[float] = []
    deadline = time.monotonic() + PATIENCE
    while len(times) < count and time.monotonic() < deadline:
        times += next(pieces).t.tolist()
    return times


def test_a_growing_log_is_read_as_it_grows(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "conn.log"
    path.write_text("".join(lines[:11]))
    pieces = following(path).pieces()
    assert len(until(pieces, 10)) == 10
    assert len(next(pieces)) == 0
    with path.open("a") as file:
        file.write("".join(lines[11:21]) + lines[21][:9])
        file.flush()
        assert len(until(pieces, 10)) == 10
        file.write(lines[21][9:])
    assert len(until(pieces, 1)) == 1
    pieces.close()  # type: ignore[attr-defined]  # a generator


def _moved(path: Path, rest: str, new: str) -> None:
    """As logrotate does, with a writer that still has the old file open for a moment."""
    with path.open("a") as old:
        path.rename(path.with_suffix(".1"))
        old.write(rest)
        old.flush()
        path.with_suffix(".new").write_text(new)
        path.with_suffix(".new").rename(path)


def _cut_short(path: Path, rest: str, new: str) -> None:
    """As logrotate does with `copytruncate`, once what was written has been read."""
    path.write_text(new)


@pytest.mark.parametrize(("rotate", "kept"), [(_moved, 5), (_cut_short, 0)])
def test_rotation_is_survived(
    tmp_path: Path, lines: Lines, rotate: Callable[[Path, str, str], None], kept: int
) -> None:
    path = tmp_path / "conn.log"
    path.write_text("".join(lines[:31]))
    follower = following(path)
    pieces = follower.pieces()
    first = until(pieces, 30)
    rotate(path, "".join(lines[31:36]), lines[0] + "".join(lines[36:41]) + "nonsense\n")
    later = until(pieces, kept + 5)
    started = 1700000000
    assert first == [started + 5 * number for number in range(30)]
    assert later == [started + 5 * number for number in (*range(30, 30 + kept), *range(35, 40))]
    pieces.close()  # type: ignore[attr-defined]
    assert [report.malformed for report in follower.reports] == [0, 1]
    assert follower.reports[1].examples[0].number == 7


def test_much_is_handed_out_before_the_wait_is_over(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "conn.log"
    path.write_text("".join(lines))
    slow = Following(FlowSource(path, "", Reading(bytes(32))), wait=60.0, most=100, poll=0.005)
    began = time.monotonic()
    assert len(until(slow.pieces(), 100)) == 240
    assert time.monotonic() - began < PATIENCE


def test_a_pipe_is_read_as_it_is_written_and_ends(lines: Lines) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "w") as pipe:
        follower = Following(FlowSource(STDIN, "", Reading(bytes(32))), wait=WAIT, poll=0.005, stdin=stdin)
        pieces = follower.pieces()
        pipe.write("".join(lines[:6]))
        pipe.flush()
        assert len(until(pieces, 5)) == 5
        pipe.write("".join(lines[6:9]))
        pipe.close()
        assert sum(map(len, pieces)) == 3
    assert follower.reports[0].records == 8


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="cannot be read"):
        next(following(tmp_path / "none.log").pieces())
    path = tmp_path / "poem.log"
    path.write_text("no flows\n")
    with pytest.raises(DataInvalid, match="known format"):
        list(following(path).pieces())
