"""The coordinator's own keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from flxdr.core.errors import Misconfigured
from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey, PublicKey
from flxdr.platform.storage.files import create_once

_SEED_FILE = "coordinator_ml_dsa_65_seed"
_lock = threading.Lock()
_cache: dict[bytes, PrivateKey] = {}
_recorded: list[Callable[[], str | None]] = []


def register(recorded: Callable[[], str | None]) -> None:
    """Set who knows the id of the coordinator's key that the chain records (None: no chain yet)."""
    _recorded[:] = [recorded]


def coordinator_key() -> PrivateKey:
    """The ML-DSA-65 key of the coordinator: from `PQC_SK_B64`, else made once in the data folder.

    While its key is rotated the coordinator holds several; the one that the chain records is the one.

    Raises:
        Misconfigured: a key cannot be read, or `PQC_PK_B64` does not belong to the configured key.
    """
    held = coordinator_keys()
    recorded = _recorded[0]() if len(held) > 1 and _recorded else None
    return next((key for key in held if key.public.key_id == recorded), held[0])


def coordinator_keys() -> list[PrivateKey]:
    """Every key that the coordinator holds: the configured or first one, the next one, and those made for rotations.

    Raises:
        Misconfigured: as `coordinator_key`.
    """
    env, folder = settings.FLXDR, settings.FLXDR.data_dir / "keys"
    made = sorted(folder.glob(f"{_SEED_FILE}_*"))
    keys = []
    if env.pqc_sk_b64 is not None:
        keys.append(_configured(env.pqc_sk_b64))
    elif not made or (folder / _SEED_FILE).exists():
        keys.append(_kept(folder / _SEED_FILE))
    if env.pqc_next_sk_b64 is not None:
        keys.append(_key(env.pqc_next_sk_b64, "PQC_NEXT_SK_B64"))
    return [*keys, *(_kept(path) for path in made)]


def make_next_coordinator_key() -> PrivateKey:
    """A new key beside the coordinator's, kept in the data folder before anybody hears of it."""
    key = PrivateKey.generate()
    create_once(settings.FLXDR.data_dir / "keys" / f"{_SEED_FILE}_{key.public.key_id[:16]}", lambda: key.seed)
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


def _configured(seed: bytes) -> PrivateKey:
    key = _key(seed, "PQC_SK_B64")
    check_public_half(key, settings.FLXDR.pqc_pk_b64)
    return key


def _kept(path: Path) -> PrivateKey:
    return _key(create_once(path, lambda: PrivateKey.generate().seed), str(path))


def _key(seed: bytes, where: str) -> PrivateKey:
    with _lock:
        key = _cache.get(seed)
        if key is None:
            try:
                key = _cache[seed] = PrivateKey(Algorithm.ML_DSA_65, seed)
            except KeyInvalid as error:
                raise Misconfigured(
                    f"{where} holds no key: {error.detail}", expected="the 32 bytes of the seed"
                ) from error
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
