"""What the agent checks of a round's privacy mechanism: that it is what it claims, and what this organisation wants."""

from __future__ import annotations

from federation.agent.config import AgentConfig
from federation.agent.errors import CheckFailed
from federation.masking.honest import counted_on
from federation.protection.registry import PROTECTIONS
from federation.round_config import RoundConfig
from models_ml.registry import EDGE_NORMALISER
from models_ml.tasks import TASKS
from privacy.dp.composition import PPM
from privacy.errors import PrivacyParameterInvalid
from privacy.mechanism import NONE, ORGANIZATION, RECORD, Gaussian, Mechanism, SampledGaussian, parse

_UNITS = {type(None): NONE, Gaussian: ORGANIZATION, SampledGaussian: RECORD}


def check_privacy(round_config: RoundConfig, config: AgentConfig) -> Mechanism | None:
    """The round's mechanism.

    Raises:
        CheckFailed: it cannot be read, protects a unit that agent.toml does not list, claims less sensitivity than the
            clipping gives, counts on others where updates travel in the clear, or trains for longer than the limits.
    """
    _require_readable(round_config)
    try:
        mechanism = parse(round_config.privacy)
    except PrivacyParameterInvalid as error:
        raise CheckFailed(error.detail, expected=error.expected) from error
    unit = _UNITS[type(mechanism)]
    if unit not in config.privacy.units:
        raise CheckFailed(
            f"the round's noise protects {unit!r}", expected=f"{' | '.join(config.privacy.units)} ([privacy] units)"
        )
    if isinstance(mechanism, Gaussian):
        _check_whole(mechanism, round_config)
    elif mechanism is not None:
        _check_sampled(mechanism, round_config, config)
    return mechanism


def _require_readable(round_config: RoundConfig) -> None:
    """Refuse what is of another type than it is declared, as it came from outside."""
    numbers = (round_config.clip_norm_ppm, round_config.min_orgs, round_config.n_max, round_config.masking_buckets)
    if type(round_config.privacy) is not dict or any(type(number) is not int for number in numbers):
        raise CheckFailed(
            f"the round's privacy is {round_config.privacy!r}, and its sizes are {numbers}",
            expected="a mechanism by its parameters, and integers",
        )


def _check_whole(mechanism: Gaussian, round_config: RoundConfig) -> None:
    if not mechanism.clip_ppm == round_config.clip_norm_ppm <= mechanism.sensitivity_ppm:
        raise CheckFailed(
            f"the noise is for a sensitivity of {mechanism.sensitivity_ppm} ppm and a clip of {mechanism.clip_ppm} ppm",
            expected=f"the round's clipping norm of {round_config.clip_norm_ppm} ppm in both",
        )
    counted = 1
    if PROTECTIONS[round_config.protection].is_masked:
        counted = counted_on(least=round_config.min_orgs, most=round_config.n_max, buckets=round_config.masking_buckets)
    if mechanism.shares > counted:
        raise CheckFailed(
            f"each organization would add one of {mechanism.shares} shares of the noise",
            expected=f"one of {counted}: so many honest ones can be counted on",
        )


def _check_sampled(mechanism: SampledGaussian, round_config: RoundConfig, config: AgentConfig) -> None:
    task = TASKS.get(round_config.model_name)
    if task is None or task.example_unit != mechanism.example:
        raise CheckFailed(
            f"the round's noise is for records of kind {mechanism.example!r}",
            expected=str(task.example_unit if task else None),
        )
    epochs = mechanism.steps * mechanism.sampling_ppm / PPM
    if epochs > config.limits.max_epochs + 1:
        raise CheckFailed(
            f"the round's steps draw each record {epochs:g} times",
            expected=f"about {config.limits.max_epochs} times at most ([limits] in agent.toml)",
        )
    if round_config.model_name == EDGE_NORMALISER and (mechanism.sampling_ppm, mechanism.steps) != (PPM, 1):
        raise CheckFailed("the round samples records for moments", expected="one step that draws every record")
