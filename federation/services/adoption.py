"""Taking up releases that the chain has and this database lacks: a chain was restored further than its backup."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from federation.errors import ModelMissing
from federation.models import ModelVersion
from federation.services.transitions import COORDINATOR
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from flxdr.platform.storage.blobs import blobs
from ledger.models import Block
from ledger.selectors.release_outcomes import withdrawal_of
from models_ml import codec

Status = ModelVersion.Status


def adopt_release(*, path: Path, clock: Clock) -> list[ModelVersion]:
    """Store a model's file for every release of it on the chain that no row tells of.

    The next round of the model starts from it if it is the newest. What its round was remains lost: who sent what, and
    the state of a server optimiser, which starts anew.

    Args:
        path: the model's file, which any member's agent keeps in its folder `models`.

    Raises:
        OSError: the file cannot be read.
        ModelMissing: the chain has no release of these bytes that a row does not tell of already.
        flxdr.core.errors.FlxdrError: the file holds no model.
    """
    data = path.read_bytes()
    schema = codec.schema_of(codec.decode(data)).as_json()
    model_hash = codec.model_hash(data)
    with transaction.atomic():
        known = ModelVersion.objects.exclude(block_height=None).values("block_height")
        released = Block.objects.filter(type=Block.Type.RELEASE, model_hash=model_hash)
        lost = list(released.exclude(height__in=known).order_by("height"))
        if not lost:
            raise ModelMissing(
                f"the chain has no release of model {model_hash} that this database lacks",
                expected="the file of a model that `verify_chain --recompute` calls not recomputable",
            )
        digest = blobs().put(data)
        return [_adopt(block, digest, schema, clock) for block in lost]


def _adopt(block: Block, digest: str, schema: object, clock: Clock) -> ModelVersion:
    assert block.model_hash is not None
    assert block.model_version is not None
    is_withdrawn = withdrawal_of(block.model_name or "", block.model_version, block.height) is not None
    version = ModelVersion.objects.create(
        model_name=block.model_name or "",
        version=block.model_version,
        model_hash=block.model_hash,
        parent_hash=block.parent_model_hash or "",
        blob_digest=digest,
        schema=schema,
        status=Status.WITHDRAWN if is_withdrawn else Status.RELEASED,
        block_height=block.height,
        created_at=clock.now(),
    )
    record_event(
        kind="model.adopted",
        actor=COORDINATOR,
        subject=version.model_hash,
        data={"model": version.model_name, "version": version.version, "block_height": block.height},
        clock=clock,
    )
    return version
