"""A round's configuration: one canonical document, fixed when the round starts.

Its SHA-256 (`config_hash`) is what every message of the round is bound to. Pure: the coordinator writes it, agents read
it back from the bytes that they were served and recompute the hash themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from flxdr.core import canonical
from flxdr.core.clock import format_timestamp, parse_timestamp
from flxdr.core.errors import Malformed
from models_ml.registry import EDGE_NORMALISER, TGNN

VERSION = 1
PPM = 1_000_000


class RoundConfigMalformed(Malformed):
    """Bytes that are no round configuration of this version."""

    code = "malformed_round_config"
    title = "Malformed round configuration"


@dataclass(frozen=True)
class LocalTraining:
    """How organisations train between receiving the parent and submitting; rates and factors in millionths.

    `normaliser_hash` and `network_hash` name the releases of `edge-normaliser` and of `tgnn` on which the model builds.
    """

    epochs: int
    batch_size: int
    learning_rate_ppm: int
    proximal_ppm: int
    normaliser_hash: str | None = None
    network_hash: str | None = None

    @property
    def basis(self) -> Mapping[str, str]:
        """Hashes of the releases that the model builds on, by model name."""
        named = {EDGE_NORMALISER: self.normaliser_hash, TGNN: self.network_hash}
        return {name: model_hash for name, model_hash in named.items() if model_hash is not None}

    @property
    def learning_rate(self) -> float:
        return self.learning_rate_ppm / PPM

    @property
    def proximal_mu(self) -> float:
        return self.proximal_ppm / PPM


@dataclass(frozen=True)
class RoundConfig:
    """What a round fixed at its start.

    `model_schema` is None while the model has none yet (its first accepted submission fixes it); `parent_hash` is None
    for a model that starts from zero. `clip_norm_ppm` bounds the L2 norm of an update in millionths of model units (0:
    no bound beside `max_abs`, the bound of every value). `n_max` is the number of updates that the round can take.
    `optimizer_state_hash` names the state file with which a server optimiser goes on (None: it starts anew, or the
    method keeps none). `masking_buckets` is the number of buckets of organisations that a masked round with a robust
    aggregation needs (0: the organisations mask in one group, or not at all), `step_seconds` the time for each step of
    a masked collection after the first one (0: there are no steps), `modulus_bits` the size of a Paillier round's key.
    """

    chain_id: str
    round_id: str
    round_number: int
    model_name: str
    model_schema: tuple[tuple[str, tuple[int, ...]], ...] | None
    parent_hash: str | None
    parent_version: int
    aggregation_method: str
    aggregation_params: Mapping[str, int | str]
    weighting: str
    optimizer_state_hash: str | None
    protection: str
    frac_bits: int
    max_abs: int
    clip_norm_ppm: int
    n_max: int
    privacy: Mapping[str, Any]
    local: LocalTraining
    participants: tuple[str, ...]
    min_orgs: int
    deadline: datetime
    masking_buckets: int = 0
    step_seconds: int = 0
    modulus_bits: int = 0

    def encode(self) -> bytes:
        """The canonical bytes of the configuration."""
        schema = self.model_schema
        return canonical.encode(
            {
                "v": VERSION,
                "chain_id": self.chain_id,
                "round_id": self.round_id,
                "round_number": self.round_number,
                "model_name": self.model_name,
                "model_schema": None
                if schema is None
                else [{"name": name, "shape": list(shape)} for name, shape in schema],
                "parent_hash": self.parent_hash,
                "parent_version": self.parent_version,
                "aggregation_method": self.aggregation_method,
                "aggregation_params": dict(self.aggregation_params),
                "weighting": self.weighting,
                "optimizer_state_hash": self.optimizer_state_hash,
                "protection": self.protection,
                "frac_bits": self.frac_bits,
                "max_abs": self.max_abs,
                "clip_norm_ppm": self.clip_norm_ppm,
                "n_max": self.n_max,
                "privacy": dict(self.privacy),
                "local": _encoded(self.local),
                "participants": sorted(self.participants),
                "min_orgs": self.min_orgs,
                "deadline": format_timestamp(self.deadline),
            }
            | self._masking()
        )

    def _masking(self) -> dict[str, int]:
        """What only masked rounds have."""
        if not self.step_seconds:
            return {}
        masking = {"masking_buckets": self.masking_buckets, "step_seconds": self.step_seconds}
        return masking | ({"modulus_bits": self.modulus_bits} if self.modulus_bits else {})

    @property
    def config_hash(self) -> str:
        return canonical.digest(self.encode())

    @classmethod
    def decode(cls, data: bytes) -> RoundConfig:
        """Read a configuration back.

        Raises:
            Malformed: not canonical, another version, or a field that is missing, unknown or of another type.
        """
        fields = canonical.decode(data)
        if not isinstance(fields, dict) or fields.pop("v", None) != VERSION:
            raise RoundConfigMalformed("no round configuration of this version", expected=f"v = {VERSION}")
        try:
            schema = fields["model_schema"]
            fields["model_schema"] = schema and [(tensor["name"], tensor["shape"]) for tensor in schema]
            fields["deadline"] = parse_timestamp(fields["deadline"])
            _require_known(fields, cls)
            _require_known(fields["local"], LocalTraining)
            return msgspec.convert(fields, cls)
        except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
            raise RoundConfigMalformed(f"the round configuration does not have the expected fields: {error}") from error


def _encoded(local: LocalTraining) -> dict[str, Any]:
    """Its fields; the network is named by rounds that build on one, and by no others."""
    fields = dataclasses.asdict(local)
    if local.network_hash is None:
        del fields["network_hash"]
    return fields


def _require_known(fields: Mapping[str, Any], form: type[RoundConfig | LocalTraining]) -> None:
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(form)})
    if unknown:
        raise TypeError(f"unknown field {unknown[0]!r}")
