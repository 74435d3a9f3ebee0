"""The coordinator's key is made once and kept, or is what the operator configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flxdr.core.errors import Misconfigured
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.identity import coordinator_key


@pytest.fixture(autouse=True)
def _nothing_configured(env: Any) -> None:
    env(pqc_sk_b64=None, pqc_pk_b64=None)


def test_key_is_made_once_and_kept_privately(data_dir: Path) -> None:
    key = coordinator_key()
    path = data_dir / "keys" / "coordinator_ml_dsa_65_seed"
    assert key.algorithm is Algorithm.ML_DSA_65
    assert path.read_bytes() == key.seed
    assert path.stat().st_mode & 0o777 == 0o600
    assert coordinator_key() is key


def test_each_data_folder_has_its_own_key(env: Any, tmp_path: Path) -> None:
    first = coordinator_key()
    env(data_dir=tmp_path / "other")
    assert coordinator_key().public != first.public


def test_configured_key(env: Any, data_dir: Path) -> None:
    key = PrivateKey.generate()
    env(pqc_sk_b64=key.seed, pqc_pk_b64=key.public.spki)
    assert coordinator_key().public == key.public
    assert not (data_dir / "keys").exists()


@pytest.mark.parametrize(
    "spki",
    [PrivateKey.generate().public.spki, PrivateKey.generate(Algorithm.ED25519).public.spki, b"no key"],
    ids=["another key", "another algorithm", "no key"],
)
def test_public_half_must_fit(env: Any, spki: bytes) -> None:
    env(pqc_sk_b64=PrivateKey.generate().seed, pqc_pk_b64=spki)
    with pytest.raises(Misconfigured, match="PQC_PK_B64"):
        coordinator_key()


def test_damaged_key_file(data_dir: Path) -> None:
    (data_dir / "keys").mkdir()
    (data_dir / "keys" / "coordinator_ml_dsa_65_seed").write_bytes(b"short")
    with pytest.raises(Misconfigured, match="holds no key"):
        coordinator_key()
