"""The mechanism in a round's configuration: read strictly, written as it is read."""

from __future__ import annotations

from typing import Any

import pytest

from flxdr.core import canonical
from privacy.dp.accountant import Release
from privacy.errors import PrivacyParameterInvalid
from privacy.mechanism import Gaussian, Mechanism, SampledGaussian, parse

WHOLE = Gaussian(500_000, 500_000, 12_000_000, 10**7, 1, "analytic")
SAMPLED = SampledGaussian(1_000_000, 4_280_000, 100_000, 10, 10**7, "flow")


@pytest.mark.parametrize("mechanism", [WHOLE, SAMPLED], ids=["organization", "record"])
def test_a_mechanism_reads_as_it_is_written(mechanism: Mechanism) -> None:
    written = mechanism.as_mapping()
    assert parse(canonical.decode(canonical.encode(written))) == mechanism


def test_what_a_round_releases() -> None:
    assert WHOLE.release == Release(500_000, 12_000_000)
    assert SAMPLED.release == Release(1_000_000, 4_280_000, 100_000, 10)


INTEGERS = [
    (mechanism, name)
    for mechanism in (WHOLE, SAMPLED)
    for name, value in mechanism.as_mapping().items()
    if isinstance(value, int)
]


@pytest.mark.parametrize(("mechanism", "name"), INTEGERS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("wrong", [0, -1, 2**53, True, 1.0, "1", None, [1]], ids=repr)
def test_no_member_is_anything_but_a_positive_integer(mechanism: Mechanism, name: str, wrong: object) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        parse(mechanism.as_mapping() | {name: wrong})


def without(mechanism: Mechanism, name: str) -> dict[str, Any]:
    return {key: value for key, value in mechanism.as_mapping().items() if key != name}


@pytest.mark.parametrize(
    "garbage",
    [
        {},
        {"mechanism": None},
        {"mechanism": "none", "unit": "record"},
        {"mechanism": ["gaussian"], "unit": {}},
        {"mechanism": "laplace", "unit": "record"},
        WHOLE.as_mapping() | {"unit": "record"},
        WHOLE.as_mapping() | {"calibration": "guess"},
        WHOLE.as_mapping() | {"calibration": None},
        WHOLE.as_mapping() | {"extra": 1},
        SAMPLED.as_mapping() | {"unit": "organization"},
        SAMPLED.as_mapping() | {"calibration": "analytic"},
        SAMPLED.as_mapping() | {"sampling_ppm": 1_000_001},
        SAMPLED.as_mapping() | {"example": "person"},
        SAMPLED.as_mapping() | {"example": ["flow"]},
        *(without(mechanism, name) for mechanism in (WHOLE, SAMPLED) for name in mechanism.as_mapping()),
    ],
    ids=str,
)
def test_garbage_is_refused(garbage: dict[str, Any]) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        parse(garbage)
