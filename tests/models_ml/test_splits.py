from __future__ import annotations

import pytest

from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import TooFewFlows
from models_ml.splits import Split, by_capture, by_time
from tests.models_ml.streams import two_families


def named(name: str, seed: int, count: int) -> EdgeStream:
    flows = two_families(seed=seed, count=count)
    return EdgeStream(**{each: getattr(flows, each) for each in ("t", "src", "dst", "port", "proto", "duration",
        "bytes_out", "bytes_in", "packets", "state", "family", "capture")}, captures=(name,))  # fmt: skip


BOTH = concat([named("one", 1, 200), named("two", 2, 100)])


def test_by_time_every_capture_is_tested_on_what_came_later() -> None:
    split = by_time(BOTH)
    assert (len(split.training), len(split.held), len(split.test)) == (178, 32, 90)
    for name in ("one", "two"):
        training, held, test = (part.of_capture(name) for part in (split.training, split.held, split.test))
        assert training.t.max() <= held.t.min() <= held.t.max() <= test.t.min()
    assert split.overlap == 0


def test_by_capture_nothing_of_a_tested_capture_is_trained_on() -> None:
    split = by_capture(BOTH, ["two"])
    assert len(split.test) == 100
    assert not len(split.training.of_capture("two"))
    assert not len(split.held.of_capture("two"))
    assert len(split.training) + len(split.held) == 200
    assert "two" in split.how
    with pytest.raises(TooFewFlows, match="three"):
        by_capture(BOTH, ["three"])


def test_records_on_both_sides_are_counted() -> None:
    split = Split(BOTH.select(slice(0, 50)), EdgeStream.empty(), BOTH.select(slice(20, 120)), "by hand")
    assert split.overlap == 30
    assert Split(EdgeStream.empty(), EdgeStream.empty(), BOTH, "test alone").overlap == 0


def test_a_split_tells_what_is_in_it() -> None:
    parts = by_capture(BOTH, ["two"]).as_json()["parts"]
    assert [(part["capture"], part["records"]) for part in parts["test"]] == [("two", 100)]
    assert sum(parts["test"][0]["families"].values()) == 100
    assert parts["test"][0]["from"] <= parts["test"][0]["to"]
