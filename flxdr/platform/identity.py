"""The coordinator's own keys."""

from __future__ import annotations

import threading

from django.conf import settings

from flxdr.core.errors import Misconfigured
from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey, PublicKey
from flxdr.platform.storage.files import create_once

_lock = threading.Lock()
_cache: dict[tuple[bytes | None, str], PrivateKey] = {}


def coordinator_key() -> PrivateKey:
    """The ML-DSA-65 key of the coordinator: from `PQC_SK_B64`, else made once in the data folder.

    Raises:
        Misconfigured: `PQC_PK_B64` does not belong to the key.
    """
    configured: bytes | None = settings.FLXDR.pqc_sk_b64
    path = settings.FLXDR.data_dir / "keys" / "coordinator_ml_dsa_65_seed"
    with _lock:
        key = _cache.get((configured, str(path)))
        if key is None:
            seed = configured or create_once(path, lambda: PrivateKey.generate().seed)
            key = _cache[(configured, str(path))] = _usable(seed, str(path))
    return key


def log_key() -> PrivateKey:
    """The Ed25519 key that signs the ledger's checkpoints, made once in the data folder.

    If it is lost, a new one is made: the coordinator's key vouches for whichever the log uses, and notes that the old
    one signed stay what they were.

    Raises:
        Misconfigured: the file holds no key.
    """
    path = settings.FLXDR.data_dir / "keys" / "log_ed25519_seed"
    seed = create_once(path, lambda: PrivateKey.generate(Algorithm.ED25519).seed)
    try:
        return PrivateKey(Algorithm.ED25519, seed)
    except KeyInvalid as error:
        raise Misconfigured(f"{path} holds no key: {error.detail}", expected="the 32 bytes of the seed") from error


def _usable(seed: bytes, path: str) -> PrivateKey:
    try:
        key = PrivateKey(Algorithm.ML_DSA_65, seed)
    except KeyInvalid as error:
        raise Misconfigured(f"{path} holds no key: {error.detail}", expected="the 32 bytes of the seed") from error
    check_public_half(key, settings.FLXDR.pqc_pk_b64)
    return key


def check_public_half(key: PrivateKey, spki: bytes | None) -> None:
    """Refuse a configured public key that is not `key`'s.

    Raises:
        Misconfigured: it is another key, or no key.
    """
    if spki is None:
        return
    try:
        public = PublicKey.from_spki(spki)
    except KeyInvalid as error:
        raise Misconfigured(f"PQC_PK_B64: {error.detail}", expected="base64 of the DER SubjectPublicKeyInfo") from error
    if public != key.public:
        raise Misconfigured(
            "PQC_PK_B64 does not belong to the coordinator's private key",
            expected=f"the public half of PQC_SK_B64 (key id {key.public.key_id})",
            action="Run `manage.py generate_keys` and set both variables from its output.",
        )
