"""Embeddings of hosts that an organisation has from elsewhere (128 numbers a host), joined to flows by pseudonym.

Two files are read: `.npz` with the arrays `hosts` (texts, as the logs write them) and `embeddings` (hosts, 128), and
`.safetensors` with the tensor `embeddings` and the metadata entry `hosts`, a JSON list.

They are context for the organisation's own analysts: an alert names the hosts that behave most like its own. No shared
model takes them as an input: other organisations have none, or others, and a model trained on some would be worth
nothing to the rest.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from safetensors import SafetensorError, safe_open

from models_ml.adapters.hosts import Pseudonyms
from models_ml.errors import UnreadableSource

WIDTH = 128
_EXPECTED = f"hosts, and float embeddings of shape (hosts, {WIDTH})"
# An archive's damaged member, its unknown compression (NotImplementedError) and its password (RuntimeError) included.
_NO_EMBEDDINGS = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    SafetensorError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class HostEmbeddings:
    """Embeddings by pseudonym.

    Attributes:
        hosts: (n,) pseudonyms in ascending order.
        embeddings: (n, 128) float32, each of length 1.
    """

    hosts: npt.NDArray[np.uint64]
    embeddings: npt.NDArray[np.float32]

    @classmethod
    def read(cls, path: Path, pseudonym_key: bytes) -> HostEmbeddings:
        """The file's embeddings; pseudonyms are those of flows that are read under the same key.

        Raises:
            UnreadableSource: no such file, another format or shape, a host twice, or numbers that are not finite.
        """
        try:
            names, rows = _safetensors(path) if path.suffix == ".safetensors" else _npz(path)
        except OSError as error:
            raise UnreadableSource(f"{path} cannot be read: {error.strerror or error}") from error
        except _NO_EMBEDDINGS as error:
            raise UnreadableSource(f"{path} holds no embeddings: {error}", expected=_EXPECTED) from error
        if rows.dtype.kind != "f" or rows.shape != (len(names), WIDTH):
            raise UnreadableSource(
                f"{path}: {len(names)} hosts, embeddings {rows.dtype} {rows.shape}", expected=_EXPECTED
            )
        pseudonyms = Pseudonyms(pseudonym_key)
        hosts = np.fromiter((pseudonyms.of(name) for name in names), np.uint64, len(names))
        order = np.argsort(hosts)
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        if len(np.unique(hosts)) != len(hosts) or not np.isfinite(lengths).all():
            raise UnreadableSource(f"{path}: a host twice, or a number that is not finite", expected=_EXPECTED)
        scaled = rows / np.where(lengths > 0, lengths, 1)[:, None]
        return cls(hosts[order], scaled[order].astype(np.float32))

    def of(self, hosts: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """(embeddings (n, 128), whether each host has one (n,)); zeros for a host that has none."""
        if not len(self.hosts):
            return np.zeros((len(hosts), WIDTH), dtype=np.float32), np.zeros(len(hosts), dtype=np.bool_)
        places = np.minimum(np.searchsorted(self.hosts, hosts), len(self.hosts) - 1)
        known = self.hosts[places] == hosts
        return np.where(known[:, None], self.embeddings[places], np.float32(0)), known

    def alike(self, host: int, count: int = 3) -> list[tuple[int, float]]:
        """The other hosts whose embeddings are nearest, with the cosine; none for a host that has no embedding."""
        (own,), (known,) = self.of(np.array([host], dtype=np.uint64))
        if not known:
            return []
        cosines = self.embeddings @ own
        others = [int(place) for place in np.argsort(-cosines, kind="stable") if self.hosts[place] != host]
        return [(int(self.hosts[place]), float(cosines[place])) for place in others[:count]]


def _npz(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        names, rows = file["hosts"], file["embeddings"]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise ValueError(f"hosts are {names.dtype} {names.shape}, no list of texts")
    return names.tolist(), rows


def _safetensors(path: Path) -> tuple[Sequence[str], npt.NDArray[Any]]:
    with path.open("rb"):  # its own error for a missing file names no cause
        pass
    with safe_open(path, framework="np") as file:
        names = orjson.loads((file.metadata() or {})["hosts"])
        rows = file.get_tensor("embeddings")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the metadata entry hosts is no list of texts")
    return names, rows
