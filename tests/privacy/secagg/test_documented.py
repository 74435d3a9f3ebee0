"""What `docs/secure-aggregation.md` says: its lines that recompute a sum, and its table of thresholds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.secagg import client, ring, shamir
from privacy.secagg.shamir import PRIME
from tests.privacy.secagg.parties import Federation

DOCUMENT = (Path(__file__).parents[3] / "docs" / "secure-aggregation.md").read_text(encoding="utf-8")
TABLE = [
    tuple(map(int, row))
    for row in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", DOCUMENT.replace("nobody", "0"), re.M)
]


def recomputed() -> Callable[..., Any]:
    (lines,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines, names)
    function: Callable[..., Any] = names["recomputed"]
    return function


def test_anyone_recomputes_the_sum_from_any_sufficient_responses() -> None:
    federation = Federation(9)
    names = federation.names
    sharers, survivors = names[1:], names[1:8]
    values = {name: np.arange(-20, 20, dtype=np.int64) * (number + 1) for number, name in enumerate(names)}
    bodies = {
        name: ring.to_bytes(federation.masked(name, ring.to_ring(values[name], 32), sharers)) for name in survivors
    }
    responses = {name: federation.response(name, sharers, survivors) for name in survivors}
    found = recomputed()(federation.group, sharers, bodies, responses, 40, 32)
    assert found.tolist() == (np.arange(-20, 20) * sum(range(2, 9))).tolist()


def test_the_table_of_thresholds_is_the_codes() -> None:
    assert [row[0] for row in TABLE] == [3, 4, 5, 6, 9, 12, 50, 200]
    for count, threshold, spare, colluders in TABLE:
        assert threshold == 2 * count // 3 + 1
        assert spare == count - threshold
        assert colluders == min(2 * threshold - count, threshold - 1)


class Collusion:
    """A coordinator tells half of the honest parties that the victim dropped out, and the others that it did not."""

    def __init__(self, count: int, colluders: int) -> None:
        federation = Federation(count)
        names = federation.names
        self.victim = names[-1]
        self.secrets = federation.secrets[self.victim]
        self.threshold = federation.group.threshold
        helpers, honest = names[:colluders], names[colluders:]
        opened = {
            name: client.open_shares(
                federation.secrets[name], name, federation.group, {self.victim: federation.sealed[self.victim][name]}
            )[self.victim]
            for name in helpers
        }
        self.seeds = {federation.group.index_of(name): share[:33] for name, share in opened.items()}
        self.keys = {federation.group.index_of(name): share[33:] for name, share in opened.items()}
        believing = self.threshold - colluders  # in the survival of the victim, itself among them
        for name in honest[-believing:]:
            response = federation.response(name, names, names)
            self.seeds[federation.group.index_of(name)] = response.self_seeds[self.victim]
        for name in honest[:-believing]:
            response = federation.response(name, names, names[:-1])
            self.keys[federation.group.index_of(name)] = response.mask_keys[self.victim]

    def opens(self, shares: dict[int, bytes], secret: bytes) -> bool:
        points = list(shares)[: self.threshold]
        weights = shamir.weights(points)
        value = sum(w * int.from_bytes(shares[x], "big") for w, x in zip(weights, points, strict=True)) % PRIME
        return value == int.from_bytes(secret, "big")


@pytest.mark.parametrize(("count", "threshold", "_", "colluders"), TABLE[1:6])
def test_a_split_view_takes_as_many_colluders_as_the_table_says(
    count: int, threshold: int, _: int, colluders: int
) -> None:
    enough = Collusion(count, colluders)
    assert enough.opens(enough.seeds, enough.secrets.self_seed)
    assert enough.opens(enough.keys, enough.secrets.mask_private)
    short = Collusion(count, colluders - 1)
    assert short.opens(short.seeds, short.secrets.self_seed)
    assert not short.opens(short.keys, short.secrets.mask_private)
    assert len(short.keys) == threshold - 1
