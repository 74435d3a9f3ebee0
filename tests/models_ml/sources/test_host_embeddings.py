"""Embeddings of hosts, joined to flows by pseudonym."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from models_ml.adapters import read
from models_ml.errors import UnreadableSource
from models_ml.sources.host_embeddings import HostEmbeddings
from tests.models_ml.test_adapters import CSV_FIRST, CSV_HEADER, CSV_SECOND

KEY = b"k" * 32
HOSTS = ["192.0.2.1", "198.51.100.7", "203.0.113.9"]
ROWS = np.random.default_rng(1).normal(size=(3, 128)).astype(np.float32)


def write(folder: Path, form: str, hosts: Any = HOSTS, rows: Any = ROWS) -> Path:
    path = folder / f"hosts.{form}"
    if form == "npz":
        np.savez(path, hosts=np.array(hosts), embeddings=rows)
    else:
        save_file({"embeddings": rows}, path, metadata={"hosts": json.dumps(hosts)})
    return path


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_hosts_of_flows_find_their_embeddings(tmp_path: Path, form: str) -> None:
    (tmp_path / "flows.csv").write_text("\n".join((CSV_HEADER, CSV_FIRST, CSV_SECOND)))
    stream, _ = read(tmp_path / "flows.csv", pseudonym_key=KEY)
    found = HostEmbeddings.read(write(tmp_path, form), KEY)
    rows, known = found.of(stream.dst)
    assert known.tolist() == [True, False]
    np.testing.assert_allclose(rows[0], ROWS[1] / np.linalg.norm(ROWS[1]), rtol=1e-5)
    assert not rows[1].any()
    assert not HostEmbeddings.read(write(tmp_path, form), b"x" * 32).of(stream.dst)[1].any()


def test_the_hosts_most_alike_are_named_without_the_host_itself(tmp_path: Path) -> None:
    rows = np.zeros((4, 128), dtype=np.float32)
    rows[0, 0], rows[1, :2], rows[2, 1], rows[3, 0] = 5, (3, 4), 1, -1
    found = HostEmbeddings.read(write(tmp_path, "npz", ["a", "b", "c", "d"], rows), KEY)
    (alone,) = HostEmbeddings.read(write(tmp_path, "npz", ["a"], rows[:1]), KEY).hosts.tolist()
    alike = found.alike(alone, 2)
    assert [round(cosine, 6) for _, cosine in alike] == [0.6, 0.0]
    assert alone not in {host for host, _ in alike}
    assert found.alike(alone + 1) == []


@pytest.mark.parametrize("form", ["npz", "safetensors"])
@pytest.mark.parametrize(
    ("hosts", "rows"),
    [
        (HOSTS[:2], ROWS),
        (HOSTS, ROWS[:, :64].copy()),
        ([HOSTS[0]] * 3, ROWS),
        (HOSTS, np.full_like(ROWS, np.nan)),
        (HOSTS, ROWS.astype(np.int32)),
        ([1, 2, 3], ROWS),
    ],
)
def test_other_files_are_refused(tmp_path: Path, form: str, hosts: Any, rows: Any) -> None:
    with pytest.raises(UnreadableSource):
        HostEmbeddings.read(write(tmp_path, form, hosts, rows), KEY)


@pytest.mark.parametrize("name", ["hosts.npz", "hosts.safetensors"])
@pytest.mark.parametrize("data", [None, b"", b"PK\x03\x04", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableSource):
        HostEmbeddings.read(tmp_path / name, KEY)


def test_damage_anywhere_in_an_archive_is_said(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "hosts.npz", hosts=np.array(HOSTS), embeddings=ROWS)
    whole = (tmp_path / "hosts.npz").read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(whole), 150).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / "hosts.npz").write_bytes(damaged)
        with suppress(UnreadableSource):  # a few bytes mean nothing
            HostEmbeddings.read(tmp_path / "hosts.npz", KEY)
