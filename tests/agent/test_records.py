"""Flow records: files and folders, read once, the later slice kept back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from federation.agent.config import DataSection
from federation.agent.errors import DataInvalid
from federation.agent.records import RecordSource
from flxdr.core.keys import Algorithm, PrivateKey
from tests.agent.flows import write_flows

KEY = PrivateKey(Algorithm.ED25519, bytes(range(32)))


def source(home: Path, *paths: str, form: str = "auto") -> RecordSource:
    return RecordSource(DataSection(paths=paths, format=form), home, KEY)


def test_validation_is_later_than_training_in_every_capture(tmp_path: Path) -> None:
    write_flows(tmp_path / "a.csv", seed=1)
    write_flows(tmp_path / "b.csv", seed=2)
    records = source(tmp_path, "a.csv", "b.csv").load()
    assert (len(records.training), len(records.validation)) == (408, 72)
    for capture in records.training.captures:
        assert records.training.of_capture(capture).t.max() < records.validation.of_capture(capture).t.min()


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for seed in (1, 2):
        write_flows(folder / f"{seed}.csv", seed=seed, broken=seed)
    records = source(tmp_path, str(folder)).load()
    assert [report.malformed for report in records.reports] == [1, 2]


def test_files_are_read_again_only_when_they_change(tmp_path: Path) -> None:
    path = write_flows(tmp_path / "a.csv", seed=1)
    reader = source(tmp_path, "a.csv")
    first = reader.load()
    assert reader.load() is first
    write_flows(path, seed=1, records=300)
    assert len(reader.load().training) > len(first.training)


def test_hosts_are_the_same_pseudonyms_in_every_file_and_other_ones_elsewhere(tmp_path: Path) -> None:
    path = write_flows(tmp_path / "a.csv", seed=1)
    own, _ = source(tmp_path, "a.csv").load_files([path])
    again, _ = source(tmp_path, "a.csv").load_files([path])
    stranger = RecordSource(DataSection(paths=("a.csv",)), tmp_path, PrivateKey.generate(Algorithm.ED25519))
    other, _ = stranger.load_files([path])
    assert np.array_equal(own.src, again.src)
    assert not np.intersect1d(own.src, other.src).size


def test_flows_that_the_organisations_indicators_name_are_marked(tmp_path: Path) -> None:
    write_flows(tmp_path / "a.csv", seed=1)
    indicator = {"type": "indicator", "pattern_type": "stix", "pattern": "[ipv4-addr:value ISSUBSET '10.0.1.0/25']"}
    (tmp_path / "intel.json").write_text(json.dumps({"type": "bundle", "objects": [indicator]}))
    section = DataSection(paths=("a.csv",), threat_intel=("intel.json",))
    marked = RecordSource(section, tmp_path, KEY).load().training.indicator
    assert 0 < marked.sum() < len(marked)
    assert not source(tmp_path, "a.csv").load().training.indicator.any()
    (tmp_path / "intel.json").write_text("{}")
    with pytest.raises(DataInvalid, match="no STIX bundle"):
        RecordSource(section, tmp_path, KEY).load()


def test_files_without_times_are_read_at_the_rate_that_the_operator_assumes(tmp_path: Path) -> None:
    names = "IPV4_SRC_ADDR,IPV4_DST_ADDR,L4_DST_PORT,PROTOCOL,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,TCP_FLAGS"
    (tmp_path / "nf.csv").write_text("\n".join((names, *["192.0.2.1,192.0.2.2,80,6,99,2,99,2,27"] * 20)))
    with pytest.raises(DataInvalid, match="no time"):
        source(tmp_path, "nf.csv").load()
    section = DataSection(paths=("nf.csv",), assumed_rate=10.0)
    assert RecordSource(section, tmp_path, KEY).load().validation.t.tolist() == [1.7, 1.8, 1.9]


@pytest.mark.parametrize("paths", [(), ("missing.csv",), ("empty",), ("text.csv",), ("header.csv",)])
def test_what_holds_no_records_is_refused(tmp_path: Path, paths: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("hello\n")
    header = write_flows(tmp_path / "header.csv", seed=1, records=0)
    assert header.stat().st_size > 0
    with pytest.raises(DataInvalid):
        source(tmp_path, *paths).load()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    write_flows(tmp_path / "a.csv", seed=1)
    assert len(source(tmp_path, "a.csv", form="zeek-csv").load().training) == 204
    with pytest.raises(DataInvalid, match="netflow"):
        source(tmp_path, "a.csv", form="netflow").load()
