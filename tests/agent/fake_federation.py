"""A small federation made of real blocks, signatures, rounds and models, without a database."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from federation import statements
from federation.round_config import LocalTraining, RoundConfig
from flxdr.core import dsse
from flxdr.core.clock import ManualClock, format_timestamp
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import ZERO_HASH, Governance, Header, Provenance, SubmissionEntry, block_hash, submissions_root
from ledger.chain.checks import advance
from ledger.chain.entries import COORDINATOR, Action, Admit, Found, PolicyEntry, parse_statement
from ledger.chain.membership import key_entry
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from models_ml import codec, fixed_point, registry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Submitted:
    body: bytes
    statement: dict[str, Any]
    header: str


@dataclass
class FakeFederation:
    """State of a small federation: `members` hold their private keys here, so that the others can vote."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    key: PrivateKey = field(default_factory=lambda: PrivateKey.generate(Algorithm.ED25519))
    records: list[ChainRecord] = field(default_factory=list)
    peers: dict[str, PrivateKey] = field(default_factory=dict)
    config: RoundConfig | None = None
    submitted: dict[tuple[str, str], Submitted] = field(default_factory=dict)
    models: dict[str, bytes] = field(default_factory=dict)
    proposals: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        policy = PolicyEntry(method="multisig", numerator=2, denominator=3, minimum=2)
        self.seal(
            "genesis",
            Governance(
                rule="genesis",
                voters=(),
                threshold=0,
                actions=(Found(coordinator=key_entry(self.key.public), policy=policy, predecessor=None),),
            ),
        )

    @property
    def state(self) -> ChainState:
        state: ChainState | None = None
        for record in self.records:
            state, _ = advance(state, record)
        assert state is not None
        return state

    @property
    def genesis(self) -> str:
        return block_hash(self.records[0].header)

    def header(
        self, kind: Any, governance: Governance, *, model_hash: str | None = None, provenance: Provenance | None = None
    ) -> bytes:
        state = self.state if self.records else None
        self.clock.advance(timedelta(seconds=1))
        return Header(
            v=1,
            type=kind,
            chain_id=state.chain_id if state else ZERO_HASH,
            height=state.height + 1 if state else 0,
            timestamp=format_timestamp(self.clock.now()),
            prev_hash=state.block_hash if state else ZERO_HASH,
            prev_cert=state.cert_hash if state else ZERO_HASH,
            model_hash=model_hash,
            provenance=provenance,
            governance=governance,
        ).encode()

    def seal(self, kind: Any, governance: Governance, signers: dict[str, PrivateKey] | None = None) -> ChainRecord:
        return self.append(self.header(kind, governance), signers or {})

    def append(self, header: bytes, signers: dict[str, PrivateKey]) -> ChainRecord:
        approvals = [
            SignedApproval(org_id, key.public.key_id, dsse.sign(key, dsse.BLOCK_TYPE, header))
            for org_id, key in {COORDINATOR: self.key, **signers}.items()
        ]
        record = ChainRecord(header, approvals)
        self.records.append(record)
        return record

    def admission(self, org_id: str, key: PrivateKey) -> Governance:
        statement = statements.registration(
            org_id=org_id, org_name=org_id, key_id=key.public.key_id, chain_id=self.genesis
        )
        proof = dsse.sign(key, dsse.REGISTRATION_TYPE, statement)
        entry = Admit(
            org_id=org_id,
            key=key_entry(key.public),
            statement=parse_statement(statement),
            proof=dsse.encode_base64(proof),
            endorsement=None,
        )
        return self.governance(entry)

    def governance(self, entry: Action) -> Governance:
        rule = self.state.keys.rule_for(action=entry)
        return Governance(rule=rule.rule, voters=rule.voters, threshold=rule.threshold, actions=(entry,))

    def propose_entry(self, entry: Action) -> dict[str, Any]:
        return self.propose(self.header("governance", self.governance(entry)))

    def govern(self, entry: Action) -> None:
        """Seal an entry; every voter approves it."""
        governance = self.governance(entry)
        self.seal("governance", governance, {name: self.peers[name] for name in governance.voters})

    def admit(self, org_id: str, key: PrivateKey) -> None:
        """Seal an admission; the members so far approve it."""
        governance = self.admission(org_id, key)
        self.seal("governance", governance, {name: self.peers[name] for name in governance.voters})
        self.peers[org_id] = key

    def start_round(self, trained: str, /, *, normaliser: str | None = None, **changes: Any) -> RoundConfig:
        spec = registry.MODELS[trained]
        lineage = self.state.releases.get(trained)
        release = lineage.current if lineage else None
        initial = codec.encode(spec.initial())
        self.models.setdefault(codec.model_hash(initial), initial)
        number = sum(1 for config, _ in self.submitted if config.startswith(trained)) + 1
        fields: dict[str, Any] = {
            "chain_id": self.genesis,
            "round_id": f"{trained}-round-{number}",
            "round_number": lineage.newest.round_number + 1 if lineage else 1,
            "model_name": trained,
            "model_schema": tuple((tensor.name, tensor.shape) for tensor in spec.schema.tensors),
            "parent_hash": release.model_hash if release else codec.model_hash(initial),
            "parent_version": release.version if release else 0,
            "aggregation_method": "FedAvg",
            "aggregation_params": {},
            "weighting": "equal",
            "optimizer_state_hash": None,
            "protection": "plain",
            "frac_bits": fixed_point.FRAC_BITS,
            "max_abs": fixed_point.MAX_UPDATE,
            "clip_norm_ppm": 0,
            "n_max": 8,
            "privacy": {"mechanism": "none"},
            "local": LocalTraining(
                epochs=2, batch_size=16, learning_rate_ppm=50_000, proximal_ppm=0, normaliser_hash=normaliser
            ),
            "participants": tuple(sorted(self.peers)),
            "min_orgs": 1,
            "deadline": self.clock.now() + timedelta(hours=1),
        }
        self.config = RoundConfig(**(fields | changes))
        return self.config

    def submit_for(self, org_id: str, delta: dict[str, Any], samples: int = 100) -> None:
        """A peer's update."""
        assert self.config is not None
        body = codec.encode(delta)
        statement = {"samples": samples, "wire_digest": hashlib.sha256(body).hexdigest()}
        self.submitted[self.config.round_id, org_id] = Submitted(body, statement, "")

    def entries(self, round_id: str) -> list[SubmissionEntry]:
        return [
            SubmissionEntry(org_id, hashlib.sha256(item.body).hexdigest(), item.statement["samples"])
            for (in_round, org_id), item in self.submitted.items()
            if in_round == round_id
        ]

    def aggregate(self) -> dict[str, np.ndarray[Any, Any]]:
        """Parent plus the mean of the submitted updates."""
        assert self.config is not None
        assert self.config.parent_hash is not None
        parent = codec.decode(self.models[self.config.parent_hash])
        updates = [codec.decode(item.body) for (r, _), item in self.submitted.items() if r == self.config.round_id]
        return {
            name: fixed_point.add_update(
                parent[name],
                fixed_point.round_half_up_div(
                    np.sum([update[name].astype(np.int64) for update in updates], axis=0), len(updates)
                ).astype(np.int32),
            )
            for name in parent
        }

    def propose_release(self, tensors: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Propose the aggregate (or `tensors`), with `changes` to its provenance."""
        config = self.config
        assert config is not None
        body = codec.encode(self.aggregate() if tensors is None else tensors)
        model_hash = codec.model_hash(body)
        self.models[model_hash] = body
        entries = self.entries(config.round_id)
        lineage = self.state.releases.get(config.model_name)
        fields: dict[str, Any] = {
            "round_id": config.round_id,
            "round_number": config.round_number,
            "config_hash": config.config_hash,
            "model_name": config.model_name,
            "model_version": lineage.newest.version + 1 if lineage else 1,
            "parent_model_hash": config.parent_hash,
            "aggregation_method": config.aggregation_method,
            "aggregation_params": dict(config.aggregation_params),
            "weighting": config.weighting,
            "optimizer_state_hash": None,
            "protection": config.protection,
            "training_orgs": tuple(sorted(entry.org_id for entry in entries)),
            "samples_total": sum(entry.samples for entry in entries),
            "submissions_root": submissions_root(entries),
            "privacy": {"mechanism": "none"},
            "metrics_ppm": {},
        }
        provenance = Provenance(**(fields | changes))
        keys = self.state.keys
        rule = keys.rule_for(training_orgs=provenance.training_orgs)
        governance = Governance(rule=rule.rule, voters=rule.voters, threshold=rule.threshold, actions=())
        return self.propose(self.header("release", governance, model_hash=model_hash, provenance=provenance))

    def propose_admission(self, org_id: str, key: PrivateKey) -> dict[str, Any]:
        return self.propose(self.header("governance", self.admission(org_id, key)))

    def propose(self, header: bytes) -> dict[str, Any]:
        proposal = {
            "id": len(self.proposals) + 1,
            "type": "release",
            "status": "open",
            "header": base64.b64encode(header).decode(),
            "block_hash": block_hash(header),
            "approvals": [],
            "rejections": [],
            "threshold": 2,
            "deadline": format_timestamp(self.clock.now() + timedelta(minutes=5)),
        }
        self.proposals.append(proposal)
        return proposal

    def seal_proposal(self, proposal: dict[str, Any]) -> None:
        """Seal an approved proposal with every member's signature."""
        self.append(base64.b64decode(proposal["header"]), self.peers)
        proposal["status"] = "sealed"
