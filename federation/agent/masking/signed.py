"""Signed statements of others, checked against the keys on the verified chain, and this organisation's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from federation.agent.errors import CheckFailed
from federation.agent.session import Agent
from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import SignatureInvalid


def signed(agent: Agent, statement: bytes, kind: str) -> dict[str, str]:
    """A statement with this organisation's signature, as the coordinator takes it."""
    key = agent.key
    return {
        "statement": dsse.encode_base64(statement),
        "key_id": key.public.key_id,
        "signature": dsse.encode_base64(dsse.sign(key, kind, statement)),
    }


def statements_of(agent: Agent, entries: object, kind: str) -> dict[str, bytes]:
    """Statements by organisation, each signed by a key that the verified chain gives it.

    Raises:
        CheckFailed: one is not, or the answer has another form.
    """
    if not isinstance(entries, list):
        raise CheckFailed("the coordinator's answer holds no signed statements", expected="a list")
    return dict(statement_of(agent, entry, kind) for entry in entries)


def statement_of(agent: Agent, entry: object, kind: str) -> tuple[str, bytes]:
    """One signed statement, and whose it is.

    Raises:
        CheckFailed: as `statements_of`.
    """
    try:
        assert isinstance(entry, dict)
        statement, signature = (dsse.decode_base64(entry[name], name) for name in ("statement", "signature"))
        org_id, key_id = str(entry["org_id"]), str(entry["key_id"])
    except (AssertionError, KeyError, TypeError, AttributeError, FlxdrError) as error:
        raise CheckFailed(
            "the coordinator's answer holds no signed statement", expected="statement, signature"
        ) from error
    chain = agent.state.chain()
    assert chain is not None
    key = chain.keys.key(org_id, key_id)
    if key is None:
        raise CheckFailed(f"{key_id[:16]} is no key of {org_id} on the verified chain")
    try:
        dsse.verify(key, signature, kind, statement)
    except SignatureInvalid as error:
        raise CheckFailed(f"{org_id} did not sign what the coordinator shows: {error.detail}") from error
    return org_id, statement


@contextmanager
def refusing() -> Iterator[None]:
    """What the mathematics of masks refuses is a check that fails: this organisation does not go on."""
    try:
        yield
    except CheckFailed:
        raise
    except FlxdrError as error:
        raise CheckFailed(error.detail, expected=error.expected) from error
