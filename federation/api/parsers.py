"""Parsers: from the bytes of a request to what a service takes. None of them stores anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from django.conf import settings
from rest_framework.parsers import BaseParser

from federation.api.body import Body, declared_length, read_body
from federation.api.errors import EmptyBody, MalformedTensors
from federation.api.statement_header import HEADER, META_KEY, SignedStatement, read_statement
from federation.api.update_json import SubmissionDocument, decode_json, read_array
from federation.errors import StatementMalformed
from federation.services.received import FlatValues, MaskedValues, NamedTensors, ReceivedUpdate
from flxdr.core.errors import FlxdrError, Malformed
from models_ml import codec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

MAX_DOCUMENT_BYTES = 64 * 1024
RAW_DTYPES = {"f4": "<f4", "i4": "<i4"}


class DocumentParser(BaseParser):
    """Small JSON documents: every request body but an update."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = _read(stream, parser_context, limit=MAX_DOCUMENT_BYTES)
        document: dict[str, Any] = decode_json(body.data, dict[str, Any])
        return document


class UpdateParser(BaseParser):
    """What the three forms of an update share: the limit, the digest, the header."""

    def parse(  # type: ignore[override]  # DRF hands on whatever a parser returns; its stubs know mappings only
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> ReceivedUpdate:
        request = _request(parser_context)
        header = request.META.get(META_KEY)
        statement = None if header is None else read_statement(header)
        body = _read(stream, parser_context, limit=settings.FLXDR.max_submission_bytes)
        return self.read(body, statement, _parameters(media_type))

    def read(self, body: Body, statement: SignedStatement | None, parameters: Mapping[str, str]) -> ReceivedUpdate:
        """The update that `body` holds."""
        raise NotImplementedError


class JsonUpdateParser(UpdateParser):
    """The guide's JSON body; a signed statement may stand in the header."""

    media_type = "application/json"

    def read(self, body: Body, statement: SignedStatement | None, parameters: Mapping[str, str]) -> ReceivedUpdate:
        document: SubmissionDocument = decode_json(body.data, SubmissionDocument)
        envelope = None
        if statement is not None:
            _compare(document, statement)
            envelope = statement.envelope
        return ReceivedUpdate(
            round_id=document.round_id,
            org_id=document.org_id,
            kind=document.kind,
            payload=FlatValues(read_array(document.gradient)),
            samples=document.gradient.samples_seen,
            metrics=document.metrics,
            privacy=document.privacy,
            wire_digest=body.digest,
            body=body.data,
            statement=envelope.statement if envelope else None,
            signature=envelope.signature if envelope else None,
            key_id=envelope.key_id if envelope else None,
        )


class SafetensorsUpdateParser(UpdateParser):
    """A canonical safetensors file of int32 fixed-point tensors; the statement is in the header."""

    media_type = "application/vnd.safetensors"

    def read(self, body: Body, statement: SignedStatement | None, parameters: Mapping[str, str]) -> ReceivedUpdate:
        described = _required(statement)
        try:
            tensors = codec.decode(body.data)
        except FlxdrError as error:
            raise MalformedTensors(
                f"the body is no canonical tensor file: {error.detail}",
                expected=error.expected or "safetensors with int32 tensors, sorted by name, without gaps",
            ) from error
        return _described(body, described, NamedTensors(tensors))


class RawUpdateParser(UpdateParser):
    """A flat little-endian vector (`dtype=f4`, the default, or `dtype=i4`); the statement is in the header."""

    media_type = "application/octet-stream"

    def read(self, body: Body, statement: SignedStatement | None, parameters: Mapping[str, str]) -> ReceivedUpdate:
        described = _required(statement)
        name = parameters.get("dtype", "f4")
        if name not in RAW_DTYPES:
            raise MalformedTensors(f"dtype {name!r} in Content-Type", expected="f4 (model units) or i4 (fixed point)")
        dtype = np.dtype(RAW_DTYPES[name])
        if len(body.data) % dtype.itemsize:
            raise MalformedTensors(
                f"{len(body.data)} bytes are no whole number of {name} values",
                expected=f"a multiple of {dtype.itemsize} bytes",
            )
        return _described(body, described, FlatValues(np.frombuffer(body.data, dtype=dtype)))


class MaskedUpdateParser(UpdateParser):
    """A masked update: little-endian words, as long as the model; the statement is in the header."""

    media_type = "application/vnd.flxdr.masked-update"

    def read(self, body: Body, statement: SignedStatement | None, parameters: Mapping[str, str]) -> ReceivedUpdate:
        return _described(body, _required(statement), MaskedValues())


class BytesParser(BaseParser):
    """A binary body, as long as an update may be."""

    media_type = "application/octet-stream"

    def parse(  # type: ignore[override]  # as `UpdateParser.parse`
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return _read(stream, parser_context, limit=settings.FLXDR.max_submission_bytes).data


def received_update(request: Request) -> ReceivedUpdate:
    """The update in a request's body."""
    _declared(request.META, limit=settings.FLXDR.max_submission_bytes)
    return cast("ReceivedUpdate", _handed_over(request))


def received_bytes(request: Request) -> bytes:
    """The bytes of a request's body."""
    _declared(request.META, limit=settings.FLXDR.max_submission_bytes)
    return cast("bytes", _handed_over(request))


def received_document(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body."""
    _declared(request.META, limit=MAX_DOCUMENT_BYTES)
    return cast("dict[str, Any]", request.data)


def _handed_over(request: Request) -> Any:
    """What the parser read, which the request forgets.

    Request and view refer to each other, so all that they hold would stay in memory until the garbage collector comes.
    """
    data = request.data
    request._data = request._full_data = None  # type: ignore[attr-defined]
    return data


def _described(
    body: Body, statement: SignedStatement, payload: FlatValues | NamedTensors | MaskedValues
) -> ReceivedUpdate:
    return ReceivedUpdate(
        round_id=statement.fields.round_id,
        org_id=statement.fields.org,
        kind=statement.fields.kind,
        payload=payload,
        samples=statement.fields.samples,
        metrics=statement.metrics,
        privacy=statement.fields.privacy,
        wire_digest=body.digest,
        body=body.data,
        statement=statement.envelope.statement,
        signature=statement.envelope.signature,
        key_id=statement.envelope.key_id,
        roster_hash=statement.fields.roster_hash,
    )


def _compare(document: SubmissionDocument, statement: SignedStatement) -> None:
    # What is signed and what is submitted must be one thing: the service records the statement beside the update.
    said = {
        "round_id": (document.round_id, statement.fields.round_id),
        "org": (document.org_id, statement.fields.org),
        "kind": (document.kind, statement.fields.kind),
        "samples": (document.gradient.samples_seen, statement.fields.samples),
    }
    for field, (in_body, in_statement) in said.items():
        if in_body != in_statement:
            raise StatementMalformed(
                f"the body says {field} {in_body!r}, the signed statement {in_statement!r}",
                expected="a statement about the body that it comes with",
            )


def _required(statement: SignedStatement | None) -> SignedStatement:
    if statement is None:
        raise StatementMalformed(
            f"a binary body needs the {HEADER} header",
            expected="the round, organisation, kind and samples of the update",
            action="Send the statement in the header, or the update as JSON.",
        )
    return statement


def _read(stream: Any, parser_context: Mapping[str, Any] | None, *, limit: int) -> Body:
    return read_body(stream, length=_declared(_request(parser_context).META, limit=limit))


def _declared(meta: Mapping[str, str], *, limit: int) -> int:
    # Also called before DRF looks at a body: it takes one without a length, or of length 0, for an empty form.
    length = declared_length(meta, limit=limit)
    if length == 0:
        raise EmptyBody("the body is empty", expected="the documented request body")
    return length


def _request(parser_context: Mapping[str, Any] | None) -> Request:
    if parser_context is None:
        raise Malformed("the parser was called without its request")
    request: Request = parser_context["request"]
    return request


def _parameters(media_type: str | None) -> dict[str, str]:
    _, *rest = (media_type or "").split(";")
    pairs = (part.strip().partition("=") for part in rest)
    return {name.lower(): value.strip('"') for name, _, value in pairs}
