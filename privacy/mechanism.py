"""The privacy mechanism of a round as its configuration states it: integers and texts only, because it is hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from privacy.dp.accountant import Release
from privacy.dp.composition import CALIBRATIONS, PPM
from privacy.errors import PrivacyParameterInvalid

NONE = "none"
GAUSSIAN = "gaussian"
SAMPLED_GAUSSIAN = "sampled_gaussian"
ORGANIZATION = "organization"
RECORD = "record"
EXAMPLES = ("flow", "host_session")
"""What a record is to a model: one flow; or all that one host started in a fixed span of time, in a graph."""
PPT = 10**12

NO_MECHANISM: Mapping[str, Any] = {"mechanism": NONE}


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise on an organisation's whole, clipped update.

    Attributes:
        clip_ppm: L2 bound of the update before noise, in millionths of model units.
        sensitivity_ppm: how far one organisation's data can move what is released; add/remove, so it is the clip.
        sigma_ppm: standard deviation of the noise in every released coordinate, in millionths of model units.
        delta_ppt: failure probability for which sigma was calibrated, in units of 1e-12.
        shares: organisations that are counted on to add it; 1: each adds all of it, and counts on nobody.
        calibration: how sigma was found.
    """

    clip_ppm: int
    sensitivity_ppm: int
    sigma_ppm: int
    delta_ppt: int
    shares: int
    calibration: str

    def as_mapping(self) -> dict[str, Any]:
        """The form that a round's configuration carries."""
        return {"mechanism": GAUSSIAN, "unit": ORGANIZATION, **asdict(self)}

    @property
    def release(self) -> Release:
        """What a round of it releases."""
        return Release(self.sensitivity_ppm, self.sigma_ppm)


@dataclass(frozen=True)
class SampledGaussian:
    """Gaussian noise on the sums over a sample of an organisation's records, each record clipped: DP-SGD.

    Every organisation adds all of the noise and counts on nobody. One step that draws every record is the noise of
    clipped statistics.

    Attributes:
        clip_ppm: L2 bound of one record's contribution, in millionths.
        noise_multiplier_ppm: standard deviation of a step's noise, in millionths of the clipping norm.
        sampling_ppm: probability of each record to be drawn in a step, in millionths.
        steps: of a round.
        delta_ppt: failure probability for which the noise was calibrated, in units of 1e-12.
        example: what the record is, one of `EXAMPLES`.
    """

    clip_ppm: int
    noise_multiplier_ppm: int
    sampling_ppm: int
    steps: int
    delta_ppt: int
    example: str

    def as_mapping(self) -> dict[str, Any]:
        """The form that a round's configuration carries."""
        return {"mechanism": SAMPLED_GAUSSIAN, "unit": RECORD, **asdict(self)}

    @property
    def release(self) -> Release:
        """What a round of it releases, measured in clipping norms."""
        return Release(PPM, self.noise_multiplier_ppm, self.sampling_ppm, self.steps)


Mechanism = Gaussian | SampledGaussian
_KINDS: Mapping[tuple[str, str], type[Mechanism]] = {
    (GAUSSIAN, ORGANIZATION): Gaussian,
    (SAMPLED_GAUSSIAN, RECORD): SampledGaussian,
}


def parse(mechanism: Mapping[str, Any]) -> Mechanism | None:
    """Read a round's mechanism; None for `none`.

    Raises:
        PrivacyParameterInvalid: an unknown mechanism, a missing or further member, or a value out of range.
    """
    if dict(mechanism) == NO_MECHANISM:
        return None
    parameters = dict(mechanism)
    named = (parameters.pop("mechanism", None), parameters.pop("unit", None))
    kind = next((kind for name, kind in _KINDS.items() if name == named), None)
    if kind is None or parameters.keys() != {field.name for field in fields(kind)}:
        raise PrivacyParameterInvalid(
            f"privacy mechanism {dict(mechanism)!r}",
            expected=f"{dict(NO_MECHANISM)!r}, or the parameters of "
            + " | ".join(f"{name} for unit {unit}" for name, unit in _KINDS),
        )
    calibration = parameters.pop("calibration", None)
    if kind is Gaussian and calibration not in tuple(CALIBRATIONS):
        raise PrivacyParameterInvalid(f"calibration {calibration!r}", expected=" | ".join(CALIBRATIONS))
    example = parameters.pop("example", None)
    if kind is SampledGaussian and example not in EXAMPLES:
        raise PrivacyParameterInvalid(f"example {example!r}", expected=" | ".join(EXAMPLES))
    for name, value in parameters.items():
        limit = PPM if name == "sampling_ppm" else 2**53 - 1
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= limit:
            raise PrivacyParameterInvalid(f"{name} is {value!r}", expected=f"an integer from 1 to {limit}")
    if kind is Gaussian:
        return Gaussian(**parameters, calibration=str(calibration))
    return SampledGaussian(**parameters, example=str(example))
