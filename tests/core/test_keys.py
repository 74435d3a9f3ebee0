"""Keys of both algorithms behave alike, and nothing else is taken for a key."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey, PublicKey, SignatureInvalid

ED25519_PRIME = 2**255 - 19
both = pytest.mark.parametrize("algorithm", list(Algorithm))


@both
def test_signs_and_verifies(algorithm: Algorithm) -> None:
    key = PrivateKey.generate(algorithm)
    signature = key.sign(b"message")
    key.public.verify(signature, b"message")
    for wrong_signature, wrong_message in ((signature, b"other"), (signature[:-1], b"message"), (b"", b"message")):
        with pytest.raises(SignatureInvalid):
            key.public.verify(wrong_signature, wrong_message)
    with pytest.raises(SignatureInvalid):
        PrivateKey.generate(algorithm).public.verify(signature, b"message")


@both
def test_text_forms_name_the_same_key(algorithm: Algorithm) -> None:
    public = PrivateKey.generate(algorithm).public
    assert PublicKey.from_text(public.to_pem()) == public
    assert PublicKey.from_text(f"\n{public.to_base64()}\n") == public
    assert PublicKey.from_spki(public.spki) == public
    assert public.key_id == hashlib.sha256(public.spki).hexdigest()


@both
def test_the_seed_is_the_key(algorithm: Algorithm) -> None:
    key = PrivateKey.generate(algorithm)
    assert PrivateKey(algorithm, key.seed).public == key.public
    assert key.seed.hex() not in repr(key)


def test_ed25519_follows_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 1
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = PrivateKey(Algorithm.ED25519, seed)
    assert key.public.spki[-32:].hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_an_ed25519_signature_is_none_of_ml_dsa() -> None:
    signature = PrivateKey.generate(Algorithm.ED25519).sign(b"message")
    with pytest.raises(SignatureInvalid):
        PrivateKey.generate(Algorithm.ML_DSA_65).public.verify(signature, b"message")


def test_other_algorithms_are_refused() -> None:
    spki = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyInvalid, match="cannot sign here"):
        PublicKey.from_spki(der)


def _ed25519_spki(y: int) -> bytes:
    return bytes.fromhex("302a300506032b6570032100") + y.to_bytes(32, "little")


@pytest.mark.parametrize("sign", [0, 2**255])
@pytest.mark.parametrize(
    "y",
    [
        0,
        1,
        ED25519_PRIME - 1,
        ED25519_PRIME,
        ED25519_PRIME + 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    ],
)
def test_keys_for_which_everybody_can_sign_are_refused(y: int, sign: int) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey.from_spki(_ed25519_spki(y + sign))


def test_a_key_in_a_second_encoding_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="canonical"):
        PublicKey.from_spki(_ed25519_spki(ED25519_PRIME + 3))


@pytest.mark.parametrize("text", ["", "pk_...", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "é"])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey.from_text(text)


@given(st.binary(max_size=80))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey.from_spki(data)
    with pytest.raises(KeyInvalid):
        PublicKey.from_text(base64.b64encode(data).decode())


@both
def test_a_seed_has_32_bytes(algorithm: Algorithm) -> None:
    with pytest.raises(KeyInvalid):
        PrivateKey(algorithm, b"short")
