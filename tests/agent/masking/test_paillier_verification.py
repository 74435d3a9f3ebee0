"""An agent approves a Paillier round's release only if the openings are right and the sums give its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from federation.agent.errors import CheckFailed
from federation.agent.masking.verification import verify_sums
from federation.agent.training import parent_of
from federation.masking import ciphertexts, scaling
from federation.masking.steps import Step
from flxdr.core import canonical
from models_ml import codec, registry
from models_ml.codec import Tensors
from models_ml.fixed_point import add_update
from privacy.paillier import decryption, encryption
from tests.agent.conftest import Bench
from tests.agent.masking.masking_coordinator import MODEL
from tests.agent.masking.paillier_coordinator import PaillierCoordinator
from tests.ledger.chains import provenance
from tests.support.paillier import own_key

STRANGER = 3
SCHEMA = registry.MODELS[MODEL].schema


@dataclass
class Release:
    """A release of the round, and what the coordinator serves for it."""

    masking: PaillierCoordinator
    candidate: Tensors
    changes: dict[str, Any] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        files = self.masking.files
        digests = {"sum_digest": "sums", "opening_digest": "openings"}
        return {"mechanism": "none", "sums": "0"} | {
            digest: canonical.digest(files[name]) for digest, name in digests.items()
        }

    def verify(self) -> bool:
        config = self.masking.config
        said = {"training_orgs": tuple(sorted(self.masking.peers)), "privacy": self.named()} | self.changes
        agent = self.masking.bench.open()
        return verify_sums(agent, config, provenance(**said), parent_of(agent, config), self.candidate)


@pytest.fixture
def release(four: Bench) -> Release:
    """The true release of a round in which the agent masked and did not hold the key."""
    masking = PaillierCoordinator.place(four, STRANGER)
    for step in (Step.SHARES, Step.MASKED_INPUT):
        masking.run(step)
    arrangement = ciphertexts.layout(masking.config, SCHEMA.size)
    rng = np.random.default_rng(7)
    values = rng.integers(-(1 << 19), 1 << 19, (4, SCHEMA.size), endpoint=True)
    private = own_key(masking.makers[0])
    sums = encryption.encrypt(private.public, np.sum([arrangement.pack(each) for each in values], axis=0).tolist())
    parsed = encryption.parse(private.public, sums, arrangement.ciphertexts)
    opened = decryption.open_all(private, parsed)
    masking.files = {"sums": sums, "openings": opened.to_bytes(private.public)}
    weight = sum(masking.roster.weights.values())
    mean = scaling.mean(values.sum(axis=0), weight, masking.config.frac_bits)
    parent = parent_of(four.open(), masking.config)
    return Release(masking, codec.unflatten(add_update(codec.flatten(parent), mean), SCHEMA))


def test_a_true_release_is_verified_to_the_bit(release: Release) -> None:
    assert release.verify()
    for name, tensor in release.candidate.items():
        changed = tensor.copy()
        changed.flat[-1] += 1
        with pytest.raises(CheckFailed, match="not what the opened sums give"):
            replace(release, candidate={**release.candidate, name: changed}).verify()


def test_a_server_optimizers_model_is_left_to_other_checks(release: Release) -> None:
    release.changes["optimizer_state_hash"] = "00" * 32
    release.candidate = {name: tensor + 1 for name, tensor in release.candidate.items()}
    assert not release.verify()


@pytest.mark.parametrize("name", ["sums", "openings"])
def test_other_files_than_the_release_names_are_refused(release: Release, name: str) -> None:
    release.changes["privacy"] = release.named()
    release.masking.files[name] = bytes(len(release.masking.files[name]))
    with pytest.raises(CheckFailed, match=f"serves other {name} than the release names"):
        release.verify()


@pytest.mark.parametrize("privacy", [{}, {"sum_digest": "00" * 32, "opening_digest": "00" * 32, "sums": "0"}])
def test_a_release_that_does_not_name_them_is_refused(release: Release, privacy: dict[str, str]) -> None:
    release.changes["privacy"] = {"mechanism": "none"} | privacy
    with pytest.raises(CheckFailed, match="serves other sums"):
        release.verify()


def other_m(body: bytes) -> bytes:
    return body[:255] + bytes([body[255] ^ 1]) + body[256:]


def other_r(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def cut(body: bytes) -> bytes:
    return body[:-1]


@pytest.mark.parametrize("change", [other_m, other_r, cut])
def test_wrong_openings_are_refused_though_the_release_names_them(
    release: Release, change: Callable[[bytes], bytes]
) -> None:
    release.masking.files["openings"] = change(release.masking.files["openings"])
    with pytest.raises(CheckFailed, match="opening"):
        release.verify()


def test_openings_of_sums_that_no_updates_add_up_to_are_refused(release: Release) -> None:
    private = own_key(release.masking.makers[0])
    sums = encryption.encrypt(private.public, [private.public.n - 1])
    opened = decryption.open_all(private, encryption.parse(private.public, sums, 1))
    release.masking.files = {"sums": sums, "openings": opened.to_bytes(private.public)}
    with pytest.raises(CheckFailed, match="does not fit"):
        release.verify()


def test_sums_of_fewer_organizations_than_the_release_names_are_refused(release: Release) -> None:
    release.changes["training_orgs"] = tuple(sorted(release.masking.peers))[:3]
    with pytest.raises(CheckFailed):
        release.verify()
