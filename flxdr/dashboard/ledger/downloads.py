"""What an outsider takes away to verify without the coordinator: the chain up to a block, proofs, checkpoints."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from flxdr.core.errors import FlxdrError
from flxdr.dashboard.access import page
from flxdr.platform.identity import coordinator_key
from ledger import selectors
from ledger.chain import export
from ledger.errors import TreeDamaged
from ledger.services import checkpoints

TEXT = "text/plain; charset=utf-8"


@page("ledger.view_block")
@require_GET
def chain_up_to(request: HttpRequest, height: int) -> HttpResponseBase:
    """The export of the blocks from genesis to this one, with the log's checkpoint of just these."""
    selectors.block_at(height)
    lines = export.lines(selectors.chain_id(), selectors.chain_records(0, height), _checkpoint_of(height + 1))
    return StreamingHttpResponse(lines, headers=_file(proof_name(height)), content_type="application/x-ndjson")


@page("ledger.view_block")
@require_GET
def tlog_proof(request: HttpRequest, height: int) -> HttpResponseBase:
    """The block's C2SP tlog-proof."""
    try:
        proof = checkpoints.tlog_proof(height=height).encode()
    except TreeDamaged as error:
        return _refused(request, error)
    return HttpResponse(proof, headers=_file(f"flxdr-block-{height}.tlog-proof"), content_type=TEXT)


@page("ledger.view_block")
@require_GET
def checkpoint_note(request: HttpRequest) -> HttpResponseBase:
    """The newest checkpoint as a C2SP signed note."""
    try:
        signed = checkpoints.checkpoint()
    except TreeDamaged as error:
        return _refused(request, error)
    name = f"flxdr-checkpoint-{signed.checkpoint.size}.txt"
    return HttpResponse(signed.encode(), headers=_file(name), content_type=TEXT)


@page("ledger.view_block")
@require_GET
def checkpoint_document(request: HttpRequest) -> HttpResponseBase:
    """The newest checkpoint with the statements that vouch for its signers' keys."""
    try:
        signed = checkpoints.checkpoint()
    except TreeDamaged as error:
        return _refused(request, error)
    document = json.dumps(checkpoints.checkpoint_document(signed), indent=2)
    name = f"flxdr-checkpoint-{signed.checkpoint.size}.json"
    return HttpResponse(document, headers=_file(name), content_type="application/json")


def proof_name(height: int) -> str:
    """What the file of the chain up to a block is called."""
    return f"flxdr-block-{height}.jsonl"


def _checkpoint_of(size: int) -> dict[str, Any] | None:
    """The checkpoint that the file ends with; none where this coordinator cannot vouch for one: the blocks do."""
    if selectors.key_set().coordinator != coordinator_key().public:
        return None
    try:
        return checkpoints.checkpoint_document(checkpoints.checkpoint(size=size))
    except TreeDamaged:
        return None


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def _refused(request: HttpRequest, error: FlxdrError) -> HttpResponse:
    messages.error(request, str(error))
    return redirect("ledger:index")
