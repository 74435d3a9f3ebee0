"""The report as a file: whole, safe, and readable without seeing its plots."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from federation.agent.report.page import Report, render
from federation.agent.report.plots import Shown
from models_ml.adapters import ReadReport
from models_ml.assessment import assess
from models_ml.calibration import UNCALIBRATED
from models_ml.edge_stream import EdgeStream
from models_ml.families import FAMILIES
from models_ml.splits import Split
from tests.models_ml.streams import two_families

HOSTILE = '<script>alert("1")</script>&\x1b[31m'
VOID = {"meta"}


class Document(HTMLParser):
    """Elements in their nesting; a tag that closes another than the open one is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(stream: EdgeStream, *, models: int = 2, label: str = "model") -> str:
    rng = np.random.default_rng(1)
    attack = (stream.family != 0)[:, None]
    said = rng.dirichlet(np.ones(len(FAMILIES)), len(stream)).astype(np.float32) * 0.3
    said += 0.7 * np.where(attack, np.eye(len(FAMILIES))[2], np.eye(len(FAMILIES))[0])
    shown = [Shown(f"{label} {place}", assess(said, stream, UNCALIBRATED), place) for place in range(models)]
    source = ReadReport(HOSTILE, "zeek-csv", records=3, skipped={HOSTILE: 1}).as_json()
    split = Split(EdgeStream.empty(), EdgeStream.empty(), stream, HOSTILE).as_json()
    return render(
        Report(
            title=HOSTILE,
            made="now",
            models=shown,
            facts=[("hash", HOSTILE)],
            split=split,
            threshold_source="0.5",
            sources=[source],
            warnings=[HOSTILE],
        )
    )


@pytest.fixture(scope="module")
def stream() -> EdgeStream:
    return two_families(seed=1, count=300)


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(stream: EdgeStream) -> None:
    written = page(stream)
    document = Document(written)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & {tag for tag, _ in document.tags}
    assert "http" not in written
    assert "url(" not in written
    assert "@import" not in written
    assert not [name for _, attributes in document.tags for name in attributes if name.startswith("on")]


def test_text_from_outside_is_escaped(stream: EdgeStream) -> None:
    written = page(stream, label=HOSTILE)
    assert "<script" not in written
    assert "\x1b" not in written
    assert written.count("&lt;script&gt;") >= 7


def test_a_capture_whose_name_is_no_text_is_shown(stream: EdgeStream) -> None:
    named = replace(stream, captures=tuple(f"caf\udce9{name}" for name in stream.captures))
    assert "caf\ufffd" in page(named).encode().decode()


def test_every_plot_has_a_title_and_a_description_and_figures_beside_it(stream: EdgeStream) -> None:
    written = page(stream)
    document = Document(written)
    drawings = document.attributes("svg")
    ids = {
        attributes["id"] for tag in ("title", "desc") for attributes in document.attributes(tag) if "id" in attributes
    }
    assert len(drawings) == 6
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert set(str(drawing["aria-labelledby"]).split()) <= ids
    assert len(ids) == 2 * len(drawings)
    assert len(document.attributes("table")) >= 8
    assert all(attributes["scope"] in {"row", "col"} for attributes in document.attributes("th"))


def test_no_place_in_a_picture_is_outside_of_it(stream: EdgeStream) -> None:
    written = page(stream)
    for points in re.findall(r'points="([^"]+)"', written):
        places = np.array([place.split(",") for place in points.split()], dtype=float)
        assert (places >= 0).all()
        assert (places[:, 0] <= 560).all()
        assert (places[:, 1] <= 330).all()
    assert "nan" not in written.replace("tenance", "")
    heights = [float(attributes["height"] or "nan") for attributes in Document(written).attributes("rect")]
    assert heights
    assert min(heights) > 0


def test_one_class_and_one_model_are_a_report_too(stream: EdgeStream) -> None:
    benign = stream.select(stream.family == 0)
    written = page(benign, models=1)
    assert "one class only" in written
    Document(written)


def test_the_same_report_is_the_same_file(stream: EdgeStream) -> None:
    assert page(stream) == page(stream)
