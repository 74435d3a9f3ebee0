"""The privacy mechanism of a round as its configuration states it: integers and texts only, because it is hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from privacy.dp.composition import CALIBRATIONS, squared_mu
from privacy.errors import PrivacyParameterInvalid

NONE = "none"
GAUSSIAN = "gaussian"
ORGANIZATION = "organization"
RECORD = "record"
PPT = 10**12

NO_MECHANISM: Mapping[str, Any] = {"mechanism": NONE}
INSTEAD = "Set FL_PRIVACY_MODE=none and FL_PRIVACY_REQUIRED=false; such rounds declare no noise and charge nothing."


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise on an organisation's whole, clipped update.

    Attributes:
        clip_ppm: L2 bound of the update before noise, in millionths of model units.
        sensitivity_ppm: how far one organisation's data can move what is released; add/remove, so it is the clip.
        sigma_ppm: standard deviation of the noise in every coordinate, in millionths of model units.
        delta_ppt: failure probability for which sigma was calibrated, in units of 1e-12.
        calibration: how sigma was found.
    """

    clip_ppm: int
    sensitivity_ppm: int
    sigma_ppm: int
    delta_ppt: int
    calibration: str

    def as_mapping(self) -> dict[str, Any]:
        """The form that a round's configuration carries."""
        return {"mechanism": GAUSSIAN, "unit": ORGANIZATION, **asdict(self)}

    @property
    def cost(self) -> float:
        """What one release costs: mu^2."""
        return squared_mu(self.sensitivity_ppm, self.sigma_ppm)


def parse(mechanism: Mapping[str, Any]) -> Gaussian | None:
    """Read a round's mechanism; None for `none`.

    Raises:
        PrivacyParameterInvalid: an unknown mechanism, a missing or further member, or a value out of range.
    """
    if dict(mechanism) == NO_MECHANISM:
        return None
    names = ("clip_ppm", "sensitivity_ppm", "sigma_ppm", "delta_ppt")
    expected = {"mechanism", "unit", "calibration", *names}
    if mechanism.get("mechanism") != GAUSSIAN or mechanism.get("unit") != ORGANIZATION or set(mechanism) != expected:
        raise PrivacyParameterInvalid(
            f"privacy mechanism {dict(mechanism)!r}",
            expected=f"{dict(NO_MECHANISM)!r}, or a {GAUSSIAN} one of unit {ORGANIZATION} with {', '.join(names)} "
            "and calibration",
        )
    for name in names:
        value = mechanism[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
            raise PrivacyParameterInvalid(f"{name} is {value!r}", expected="a positive integer below 2^53")
    if mechanism["calibration"] not in CALIBRATIONS:
        raise PrivacyParameterInvalid(f"calibration {mechanism['calibration']!r}", expected=" | ".join(CALIBRATIONS))
    return Gaussian(calibration=mechanism["calibration"], **{name: mechanism[name] for name in names})
