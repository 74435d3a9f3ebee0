from __future__ import annotations

import numpy as np
import pytest

from models_ml import registry
from models_ml.codec import check_schema, decode, encode, model_hash
from models_ml.features import FEATURES
from models_ml.fixed_point import SCALE

INITIAL_HASHES = {
    "edge-classifier": "ae3bf8160830f861ffa4ef6d6b366beb30ce18fc356475a54d30acb50eb3eb66",
    "edge-normaliser": "5dab7fbb54b8522415c468fbb9f93def6e3e49c49e395d5bfe51bb4a568e6b9b",
    "rl-policy": "30051916b241f9fa30f788c7787794fcf3934e1d4a03944f86d2d451540d398c",
    "tgnn": "804f7b94f67be90382385e308b8309f1dc22030d71f0ab9899ba4572841e9ef7",
}


@pytest.mark.parametrize("name", registry.MODELS)
def test_the_starting_point_is_the_same_everywhere(name: str) -> None:
    spec = registry.MODELS[name]
    data = encode(spec.initial())
    check_schema(decode(data), spec.schema)
    assert spec.name == name
    assert model_hash(data) == INITIAL_HASHES[name]


def test_every_call_gives_fresh_tensors() -> None:
    spec = registry.MODELS["edge-classifier"]
    spec.initial()["hidden1.bias"][:] = 7
    assert not spec.initial()["hidden1.bias"].any()


def test_weights_fill_their_range_evenly() -> None:
    weights = registry.MODELS["edge-classifier"].initial()["hidden1.weight"] / SCALE
    limit = np.sqrt(6 / len(FEATURES))
    assert np.abs(weights).max() <= limit
    assert abs(weights.mean()) < 0.05 * limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def test_other_names_have_no_model() -> None:
    assert registry.get("global") is None
    assert registry.get("edge-classifier") is registry.MODELS["edge-classifier"]
