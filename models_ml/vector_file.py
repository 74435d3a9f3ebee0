"""Vectors that stay in their files and are read one range at a time.

The values of a canonical tensor file (see `codec`) follow its header without gaps, in name order, so the file is one
flat vector at an offset. Ranges are read with `preadv` rather than mapped into memory: mapped pages would count as the
process's resident memory, and a file that is truncated under a mapping ends the process by SIGBUS. The file is opened
for every read, so that a cohort of a thousand organisations keeps no descriptor open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from models_ml import codec
from models_ml.codec import ModelSchema
from models_ml.errors import FileTruncated, NotCanonicalModel

Value = TypeVar("Value", np.int32, np.float64)
INT32 = np.dtype("<i4")
FLOAT64 = np.dtype("<f8")


@dataclass(frozen=True)
class StoredVector(Generic[Value]):
    """`size` values of `dtype`, `offset` bytes into the file at `path`. A slice of it is read into a new array.

    Slicing raises FileTruncated where the file has become shorter, and any other OSError where it cannot be read.
    """

    path: Path
    offset: int
    size: int
    dtype: np.dtype[Value]

    @property
    def shape(self) -> tuple[int]:
        return (self.size,)

    def __getitem__(self, span: slice, /) -> NDArray[Value]:
        start, stop, step = span.indices(self.size)
        if step != 1:
            raise ValueError("a stored vector is read in contiguous ranges")
        values = np.empty(max(0, stop - start), dtype=self.dtype)
        _read_into(values.view(np.uint8).data, self.path, self.offset + start * self.dtype.itemsize)
        return values

    def after(self, size: int, dtype: np.dtype[Any]) -> StoredVector[Any]:
        """The `size` values of `dtype` that follow this vector in its file."""
        return StoredVector(self.path, self.offset + self.size * self.dtype.itemsize, size, dtype)


def open_vector(path: Path, schema: ModelSchema) -> StoredVector[np.int32]:
    """The values of a canonical int32 file, flattened in name order.

    Raises:
        NotCanonicalModel: the file's header or its length is not that of the schema's canonical file.
        OSError: it cannot be read.
    """
    header = codec.header(schema)
    require_file(path, header, 4 * schema.size)
    return StoredVector(path, len(header), schema.size, INT32)


def require_file(path: Path, header: bytes, payload: int) -> None:
    """Refuse a file that does not consist of `header` and `payload` further bytes.

    Raises:
        NotCanonicalModel: another beginning, or another length.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size != len(header) + payload:
        raise NotCanonicalModel(f"the file has {size} bytes", expected=f"{len(header) + payload} bytes")
    found = bytearray(len(header))
    _read_into(memoryview(found), path, 0)
    if found != header:
        raise NotCanonicalModel("the file's header is not that of the schema", expected="the canonical header")


def _read_into(buffer: memoryview, path: Path, offset: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = 0
        while done < len(buffer):
            count = os.preadv(descriptor, [buffer[done:]], offset + done)
            if not count:
                raise FileTruncated(f"{path.name} ends at byte {offset + done}, {len(buffer) - done} bytes too early")
            done += count
    finally:
        os.close(descriptor)
