"""Vectors read from their files range by range."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_ml import codec
from models_ml.errors import FileTruncated, NotCanonicalModel
from models_ml.vector_file import FLOAT64, INT32, StoredVector, open_vector
from tests.models_ml.test_codec import TENSORS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vector"


@given(TENSORS)
def test_header_and_values_are_the_canonical_file(tensors: dict[str, np.ndarray]) -> None:
    data = codec.encode(tensors)
    assert codec.header(codec.schema_of(tensors)) + codec.flatten(tensors).tobytes() == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(tensors=TENSORS, data=st.data())
def test_a_range_of_the_file_is_that_range_of_the_vector(
    file: Path, tensors: dict[str, np.ndarray], data: st.DataObject
) -> None:
    file.write_bytes(codec.encode(tensors))
    vector = open_vector(file, codec.schema_of(tensors))
    flat = codec.flatten(tensors)
    bound = st.none() | st.integers(-2, flat.size + 2)
    span = slice(data.draw(bound), data.draw(bound))
    read = vector[span]
    assert vector.size == flat.size
    assert read.dtype == np.int32
    assert read.tolist() == flat[span].tolist()
    assert read.flags.writeable


def test_vectors_of_two_types_follow_each_other(file: Path) -> None:
    whole, real = np.arange(3, dtype=INT32), np.array([0.5, -1.25], dtype=FLOAT64)
    file.write_bytes(whole.tobytes() + real.tobytes())
    first = StoredVector(file, 0, 3, INT32)
    assert first[1:3].tolist() == [1, 2]
    assert first.after(2, FLOAT64)[:].tolist() == [0.5, -1.25]


def test_only_contiguous_ranges(file: Path) -> None:
    file.write_bytes(bytes(16))
    with pytest.raises(ValueError, match="contiguous"):
        StoredVector(file, 0, 4, INT32)[::2]


@pytest.mark.parametrize("change", ["shorter", "longer", "header", "empty"])
def test_another_file_is_refused(file: Path, change: str) -> None:
    tensors = {"weights": np.arange(6, dtype=np.int32).reshape(2, 3)}
    data = codec.encode(tensors)
    file.write_bytes(
        {"shorter": data[:-1], "longer": data + b"\0", "header": data.replace(b"[2,3]", b"[3,2]"), "empty": b""}[change]
    )
    with pytest.raises(NotCanonicalModel):
        open_vector(file, codec.schema_of(tensors))


def test_a_file_that_is_truncated_later_is_an_error_of_the_file(file: Path) -> None:
    tensors = {"weights": np.arange(10_000, dtype=np.int32)}
    file.write_bytes(codec.encode(tensors))
    vector = open_vector(file, codec.schema_of(tensors))
    os.truncate(file, 20_000)
    assert vector[:100].tolist() == list(range(100))
    with pytest.raises(FileTruncated):
        vector[4900:5100]
    file.unlink()
    with pytest.raises(FileNotFoundError):
        vector[:1]


def test_no_descriptor_stays_open(file: Path) -> None:
    file.write_bytes(bytes(4000))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/proc/self/fd"))
    vectors = [StoredVector(file, 0, 1000, INT32) for _ in range(before + 200)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 100, hard))
    try:
        assert [int(vector[7:8].sum()) for vector in vectors] == [0] * len(vectors)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir("/proc/self/fd")) == before


def test_reading_a_large_file_in_ranges_takes_the_memory_of_a_range(file: Path) -> None:
    """Peak resident memory of a fresh process, which mapped pages would add to."""
    size = 16_000_000
    with file.open("wb") as written:
        written.write(codec.header(codec.ModelSchema.of({"weights": (size,)})))
        for _ in range(16):
            written.write(bytes(4 * size // 16))
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from models_ml.codec import ModelSchema\n"
        "from models_ml.vector_file import open_vector\n"
        f"vector = open_vector(Path(sys.argv[1]), ModelSchema.of({{'weights': ({size},)}}))\n"
        # not `ru_maxrss`: that of a child begins with its parent's
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "vector[:65536]\n"
        "before = peak()\n"
        "assert sum(int(vector[start:start + 65536].sum()) for start in range(0, vector.size, 65536)) == 0\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 * 1024  # KiB, of 64 MB read
