"""The measured part of docs/scaling.md: what `benchmarks/results.json` holds, and nothing else."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import RESULTS
from benchmarks.scale import LARGEST, Situation
from benchmarks.scale_document import DOCUMENT, PLOT, figures, plot, points, with_figures


def stored() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return rows


def test_the_document_shows_what_was_measured() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_figures(document, figures(stored())) == document, "run `make docs`"
    assert PLOT.read_text(encoding="utf-8") == plot(points(stored())), "run `make docs`"


def test_every_measured_round_is_a_mark_of_each_curve() -> None:
    measured = points(stored())
    assert len(measured) >= len(LARGEST)
    circles = [mark for mark in ElementTree.fromstring(plot(measured)) if mark.tag.endswith("circle")]
    assert len(circles) == 2 * len(measured)
    for circle in circles:
        assert 60 <= float(circle.attrib["cx"]) <= 420
        assert 20 <= float(circle.attrib["cy"]) <= 260


def test_figures_follow_from_the_rows() -> None:
    seconds = {"name": "scale.seconds.20x1e6", "ours": 0.5, "note": "peak 150.4 MB; so measured"}
    peer = {"name": "scale.two_workers.20x4e6", "ours": 2.0, "peer": 3.0, "ratio": 1.5, "unit": "s", "note": "two"}
    limit = {"name": "scale.20x1e7", "ours": 281.4, "peer": None, "unit": "MB", "limit": 400.0, "note": "one"}
    text = figures([seconds, peer, limit, {"name": "payload.other"}])
    assert "| 20 | 1,000,000 | 80 MB | 0.5 | 160 | 150 MB |" in text
    assert "2 s against 3 s, ratio 1.5; two." in text
    assert "281.4 MB (limit 400 MB); one." in text
    assert "other" not in text


def test_a_document_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="substring"):
        with_figures("# Scaling", "")


def test_a_row_is_named_by_what_it_measured() -> None:
    assert Situation(200, 1_000_000).name == "200x1e6"
    assert Situation(20, 4_000_000).name == "20x4e6"
