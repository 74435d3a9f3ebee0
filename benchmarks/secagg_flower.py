"""Flower's SecAgg+ client, brought to the step in which it masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.client.mod.secure_aggregation.secaggplus_mod import (
    SecAggPlusState,
    _collect_masked_vectors,
    _setup,
    _share_keys,
)
from flwr.common import ConfigRecord, ndarrays_to_parameters
from flwr.common.secure_aggregation.secaggplus_constants import Key
from numpy.typing import NDArray

_SETTINGS = {Key.CLIPPING_RANGE: 8.0, Key.TARGET_RANGE: 1 << 22, Key.MOD_RANGE: 1 << 32, Key.MAX_WEIGHT: 1000.0}
"""The defaults of its workflow."""
_EXAMPLES = 1000


def masking(values: NDArray[np.float32], parties: int, threshold: int) -> Callable[[], object]:
    """The call in which the client opens what `parties` - 1 others sealed for it, quantises and masks."""
    states = {number: SecAggPlusState() for number in range(1, parties + 1)}
    keys: dict[str, tuple[Any, Any]] = {}
    for number, state in states.items():
        state.nid = number
        counts = {Key.SAMPLE_NUMBER: parties, Key.SHARE_NUMBER: parties, Key.THRESHOLD: threshold}
        answer = _setup(state, ConfigRecord({**_SETTINGS, **counts}))
        keys[str(number)] = (answer[Key.PUBLIC_KEY_1], answer[Key.PUBLIC_KEY_2])
    sealed = {number: _sealed_for_first(state, keys) for number, state in states.items()}
    del sealed[1]
    message = ConfigRecord({Key.CIPHERTEXT_LIST: list(sealed.values()), Key.SOURCE_LIST: list(sealed)})
    parameters = ndarrays_to_parameters([values])
    return lambda: _collect_masked_vectors(states[1], message, _EXAMPLES, parameters)


def _sealed_for_first(state: Any, keys: dict[str, tuple[Any, Any]]) -> bytes:
    answer = _share_keys(state, keys)
    sealed = dict(zip(answer[Key.DESTINATION_LIST], answer[Key.CIPHERTEXT_LIST], strict=True))
    return bytes(sealed.get(1, b""))
