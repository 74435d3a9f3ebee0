"""The lines of `docs/aggregation.md` that recompute a model, run on rounds that the coordinator aggregated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from federation.aggregation import registry
from federation.models import ModelVersion, TrainingRound
from federation.round_config import RoundConfig
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.chain.block import SubmissionEntry, parse_header, submissions_root
from ledger.models import Block
from models_ml import codec
from tests.federation.closed_rounds import MODEL
from tests.federation.sharded_rounds import chosen, start
from tests.support.federation import SimulatedFederation

CHOICES = [(choice["method"], choice["robust_method"]) for choice in registry.describe()]
DOCUMENT = settings.BASE_DIR / "docs" / "aggregation.md"


def recomputed() -> Callable[..., tuple[str, bytes | None]]:
    (lines,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines, names)
    function: Callable[..., tuple[str, bytes | None]] = names["recomputed"]
    return function


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "robust"), CHOICES)
def test_the_block_names_what_anyone_recomputes(
    federation: SimulatedFederation, clock: ManualClock, method: str, robust: str | None
) -> None:
    """In the second round too, where a server optimiser goes on with the state of the first."""
    for seed in range(2):
        training_round = start(federation, clock, seed, **chosen(method, robust))
        federation.settle()
        block = parse_header(bytes(Block.objects.latest("height").header))
        assert block.provenance is not None
        assert block.provenance.round_id == training_round.round_id

        config_bytes = bytes(TrainingRound.objects.get(pk=training_round.pk).config)
        assert hashlib.sha256(config_bytes).hexdigest() == block.provenance.config_hash
        config = RoundConfig.decode(config_bytes)
        rows = list(training_round.submissions.select_related("organization").order_by("-organization__org_id"))
        entries = [SubmissionEntry(row.organization.org_id, row.wire_digest, row.samples) for row in rows]
        assert submissions_root(entries) == block.provenance.submissions_root

        parent = ModelVersion.objects.get(model_name=MODEL, model_hash=block.provenance.parent_model_hash)
        state = config.optimizer_state_hash
        assert (state is not None) == (
            seed == 1 and bool(registry.build(method, config.aggregation_params).state_names)
        )
        sent = [(codec.decode(blobs().get(row.update_digest)), row.samples, row.wire_digest) for row in rows]
        parent_file, state_bytes = blobs().get(parent.blob_digest), blobs().get(state) if state else None
        model_hash, after = recomputed()(config_bytes, parent_file, sent, state_bytes)
        assert model_hash == block.model_hash
        assert (hashlib.sha256(after).hexdigest() if after else None) == block.provenance.optimizer_state_hash

        others = [({name: tensor + 2**20 for name, tensor in delta.items()}, *rest) for delta, *rest in sent]
        assert recomputed()(config_bytes, parent_file, others, state_bytes)[0] != block.model_hash
