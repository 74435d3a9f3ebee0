"""The same work on parts of a list, in several processes: big integers hold the interpreter's lock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parts(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], *, processes: int) -> list[Result]:
    """The results of `work` for consecutive parts of `items`, one a process, in order.

    Args:
        work: pickled for the processes, which are started anew and inherit nothing.
    """
    if processes == 1 or len(items) <= 1:
        return work(items)
    length = math.ceil(len(items) / processes)
    parts = [items[start : start + length] for start in range(0, len(items), length)]
    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        return list(chain.from_iterable(pool.map(work, parts)))
