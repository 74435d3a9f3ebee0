"""What the agent checks of a round before it trains for it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from federation.agent.config import AgentConfig
from federation.agent.errors import CheckFailed
from federation.agent.privacy_check import check_privacy
from federation.protection.paillier import PAILLIER
from federation.protection.registry import PROTECTIONS
from federation.round_config import RoundConfig
from flxdr.core import canonical
from flxdr.core.errors import Malformed
from models_ml.fixed_point import MAX_UPDATE

PPM = 1_000_000
LARGEST_BUCKETS = 10_000
SMALLEST_MODULUS, LARGEST_MODULUS = 2048, 4096


def read_round(offer: Mapping[str, Any], *, chain_id: str, config: AgentConfig) -> RoundConfig:
    """The configuration of an offered round, after every check that needs no other knowledge.

    Args:
        offer: the `round` of the coordinator's answer; `config` is base64 of the canonical bytes.
        chain_id: the pinned genesis.

    Raises:
        CheckFailed: the bytes are not those that the hash names, belong to another chain or round, leave this
            organisation out, or ask for what this agent does not do.
    """
    round_config = _decode(offer)
    _require(round_config.chain_id == chain_id, "the round belongs to another chain", f"chain {chain_id}")
    _require(
        round_config.round_id == offer.get("round_id"), "the configuration is of another round", offer.get("round_id")
    )
    _require(config.org_id in round_config.participants, "this organisation is no participant", config.org_id)
    _require(
        round_config.model_name in config.policy.models,
        f"the round trains {round_config.model_name!r}, which agent.toml does not list",
        f"one of {', '.join(config.policy.models)}",
    )
    _check_protection(round_config, config)
    check_privacy(round_config, config)
    _check_limits(round_config, config)
    return round_config


def _check_protection(round_config: RoundConfig, config: AgentConfig) -> None:
    accepted = config.policy.protections
    protection = PROTECTIONS.get(round_config.protection)
    if protection is None or protection.name not in accepted:
        raise CheckFailed(
            f"the round's protection is {round_config.protection!r}",
            expected=f"one of {', '.join(accepted)} (protections in agent.toml)",
        )
    _require(
        (round_config.frac_bits, round_config.max_abs) == (protection.frac_bits, MAX_UPDATE),
        f"the round uses another fixed point ({round_config.frac_bits} bits, bound {round_config.max_abs})",
        f"{protection.frac_bits} bits, bound {MAX_UPDATE}",
    )
    _require(
        protection.is_masked == bool(round_config.step_seconds),
        f"the round has steps of {round_config.step_seconds} seconds",
        "steps in masked rounds, and in no others",
    )
    sizes = (SMALLEST_MODULUS, LARGEST_MODULUS) if protection is PAILLIER else (0, 0)
    _require(
        type(round_config.modulus_bits) is int and sizes[0] <= round_config.modulus_bits <= sizes[1],
        f"the round's keys have {round_config.modulus_bits} bits",
        f"{sizes[0]} to {sizes[1]}",
    )


def _decode(offer: Mapping[str, Any]) -> RoundConfig:
    try:
        data = base64.b64decode(str(offer["config"]), validate=True)
    except (KeyError, binascii.Error, ValueError) as error:
        raise CheckFailed(
            "the offered round carries no readable configuration", expected="base64 in `config`"
        ) from error
    found = canonical.digest(data)
    _require(found == offer.get("config_hash"), f"the configuration's hash is {found}", offer.get("config_hash"))
    try:
        return RoundConfig.decode(data)
    except Malformed as error:
        raise CheckFailed(f"the configuration cannot be read: {error.detail}", expected=error.expected) from error


def _check_limits(round_config: RoundConfig, config: AgentConfig) -> None:
    local, limits = round_config.local, config.limits
    bounds = (
        ("epochs", local.epochs, 1, limits.max_epochs),
        ("batch_size", local.batch_size, 1, limits.max_batch_size),
        ("learning_rate_ppm", local.learning_rate_ppm, 1, round(limits.max_learning_rate * PPM)),
        ("proximal_ppm", local.proximal_ppm, 0, 1000 * PPM),
        ("clip_norm_ppm", round_config.clip_norm_ppm, 0, canonical.MAX_INTEGER),
        ("masking_buckets", round_config.masking_buckets, 0, LARGEST_BUCKETS),
        ("parent_version", round_config.parent_version, 0, canonical.MAX_INTEGER),
    )
    for name, value, lowest, highest in bounds:
        _require(
            type(value) is int and lowest <= value <= highest,
            f"the round asks for {name} = {value!r}",
            f"{lowest} to {highest} ([limits] in agent.toml)",
        )


def _require(holds: bool, detail: str, expected: object) -> None:
    if not holds:
        raise CheckFailed(detail, expected=str(expected))
