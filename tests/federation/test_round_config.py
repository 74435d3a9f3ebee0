"""The round's configuration: one document, one hash."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.round_config import LocalTraining, RoundConfig, RoundConfigMalformed
from flxdr.core import canonical
from flxdr.core.errors import Malformed

CONFIG = RoundConfig(
    chain_id="c" * 64,
    round_id="round-3-abc",
    round_number=3,
    model_name="edge-classifier",
    model_schema=(("a", (2, 3)), ("b", ())),
    parent_hash="f" * 64,
    parent_version=2,
    aggregation_method="FedProx",
    aggregation_params={"lambda_ppm": 10_000},
    weighting="capped",
    optimizer_state_hash="5" * 64,
    protection="plain",
    frac_bits=24,
    max_abs=8,
    clip_norm_ppm=0,
    n_max=2,
    privacy={"mechanism": "none"},
    local=LocalTraining(epochs=1, batch_size=32, learning_rate_ppm=10_000, proximal_ppm=10_000),
    participants=("org-alpha", "org-beta"),
    min_orgs=2,
    deadline=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_what_is_written_is_what_is_read() -> None:
    assert RoundConfig.decode(CONFIG.encode()) == CONFIG
    assert RoundConfig.decode(CONFIG.encode()).config_hash == CONFIG.config_hash


def test_the_hash_is_of_the_bytes() -> None:
    assert CONFIG.config_hash == canonical.digest(CONFIG.encode())


def test_a_model_without_a_schema_has_none() -> None:
    unknown = replace(CONFIG, model_schema=None, parent_hash=None)
    assert RoundConfig.decode(unknown.encode()) == unknown


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("aggregation_params", {"lambda_ppm": 10_001}),
        ("weighting", "equal"),
        ("optimizer_state_hash", None),
        ("participants", ("org-alpha",)),
        ("privacy", {"mechanism": "gaussian"}),
        ("local", replace(CONFIG.local, epochs=2)),
        ("model_schema", (("a", (3, 2)), ("b", ()))),
        ("deadline", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_every_field_is_in_the_hash(field: str, value: Any) -> None:
    assert replace(CONFIG, **{field: value}).config_hash != CONFIG.config_hash


def test_local_rates_are_millionths() -> None:
    assert (CONFIG.local.learning_rate, CONFIG.local.proximal_mu) == (0.01, 0.01)


@pytest.mark.parametrize("change", ["drop", "add", "version", "local", "schema"])
def test_other_documents_are_refused(change: str) -> None:
    fields = canonical.decode(CONFIG.encode())
    if change == "drop":
        del fields["n_max"]
    elif change == "add":
        fields["extra"] = 1
    elif change == "version":
        fields["v"] = 2
    elif change == "local":
        fields["local"]["extra"] = 1
    else:
        fields["model_schema"] = [{"name": "a"}]
    with pytest.raises(Malformed):
        RoundConfig.decode(canonical.encode(fields))


def test_other_spellings_are_refused() -> None:
    with pytest.raises(Malformed):
        RoundConfig.decode(CONFIG.encode() + b" ")


@pytest.mark.parametrize(
    ("field", "value"),
    [("protection", []), ("n_max", "5"), ("n_max", True), ("participants", "org-a"), ("privacy", None), ("local", [])],
)
def test_values_of_other_types_are_refused(field: str, value: Any) -> None:
    document = canonical.decode(CONFIG.encode()) | {field: value}
    with pytest.raises(RoundConfigMalformed):
        RoundConfig.decode(canonical.encode(document))
