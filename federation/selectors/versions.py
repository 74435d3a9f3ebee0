"""Model versions: the newest one, one by its hash, the list."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, Max, Q, Value, When

from federation.errors import ModelMissing
from federation.models import ModelVersion
from flxdr.core.clock import format_timestamp
from models_ml.codec import SCHEMA_VERSION
from models_ml.registry import MODELS, ModelSpec, initial_hash
from models_ml.tasks import TASKS

Status = ModelVersion.Status
STANDING = (Status.INITIAL, Status.RELEASED)
PUBLIC = (*STANDING, Status.WITHDRAWN)


def parent_version(model_name: str) -> ModelVersion | None:
    """What the next round of the model starts from: its newest release that stands, else its initial version."""
    return ModelVersion.objects.filter(model_name=model_name, status__in=STANDING).order_by("-version").first()


def next_version(model_name: str) -> int:
    """The number of the model's next release; withdrawn ones keep theirs."""
    sealed = ModelVersion.objects.filter(model_name=model_name, status__in=PUBLIC)
    return (sealed.aggregate(newest=Max("version"))["newest"] or 0) + 1


def version_of(model_name: str, version: int) -> ModelVersion | None:
    """One version of a model, whatever became of it since it was released."""
    return ModelVersion.objects.filter(model_name=model_name, version=version).exclude(status=Status.REFUSED).first()


def released_version(model_name: str) -> ModelVersion | None:
    """The model's newest release that stands."""
    return ModelVersion.objects.filter(model_name=model_name, status=Status.RELEASED).order_by("-version").first()


def model_by_hash(model_hash: str, viewer: str | None = None) -> ModelVersion:
    """The newest version with that hash that `viewer` may see; a withdrawn one only if no other has that hash.

    Args:
        viewer: an organisation, which sees candidates and refused models of its own rounds only; None for an operator.

    Raises:
        ModelMissing: no such version for this viewer.
    """
    versions = ModelVersion.objects.filter(model_hash=model_hash)
    if viewer is not None:
        took_part = Q(training_round__participants__organization__org_id=viewer)
        versions = versions.filter(Q(status__in=PUBLIC) | took_part)
    is_withdrawn = Case(When(status=Status.WITHDRAWN, then=Value(1)), default=Value(0), output_field=IntegerField())
    version = versions.order_by(is_withdrawn, "-id").first()
    if version is None:
        raise ModelMissing(f"no model with the hash {model_hash[:80]!r}", expected="the hash of a released model")
    return version


def models_page(model: str | None = None, *, limit: int, offset: int) -> dict[str, Any]:
    """Model versions, newest first."""
    rows = ModelVersion.objects.order_by("-id")
    if model is not None:
        rows = rows.filter(model_name=model)
    return {
        "models": [
            {
                "model_name": version.model_name,
                "version": version.version,
                "model_hash": version.model_hash,
                "parent_hash": version.parent_hash or None,
                "status": version.status,
                "block_height": version.block_height,
                "created_at": format_timestamp(version.created_at),
            }
            for version in rows[offset : offset + limit]
        ],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


def registry_document() -> dict[str, Any]:
    """The models that a federation can train by name, and how far each of them is."""
    newest = {
        row["model_name"]: row["newest"]
        for row in ModelVersion.objects.filter(model_name__in=MODELS, status=Status.RELEASED)
        .values("model_name")
        .annotate(newest=Max("version"))
    }
    return {"models": [_registered(spec, newest.get(spec.name)) for spec in MODELS.values()]}


def _registered(spec: ModelSpec, newest: int | None) -> dict[str, Any]:
    task = TASKS.get(spec.name)
    return {
        "model_name": spec.name,
        "description": spec.description,
        "schema_version": SCHEMA_VERSION,
        "tensors": [{"name": tensor.name, "shape": list(tensor.shape)} for tensor in spec.schema.tensors],
        "parameters": spec.schema.size,
        "builds_on": list(spec.builds_on),
        "requires": sorted(spec.requires),
        "initial_hash": initial_hash(spec.name),
        "example_unit": task.example_unit if task else None,
        "newest_version": newest,
    }
