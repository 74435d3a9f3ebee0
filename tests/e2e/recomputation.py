"""What a round's model must be, by one process alone from what was submitted."""

from __future__ import annotations

from tests.support.processes import Coordinator

_RECOMPUTE = """
from federation.aggregation.cohort import Cohort
from federation.aggregation import engine, registry, weighting
from federation.models import ModelVersion, TrainingRound
from federation.round_config import RoundConfig
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.fixed_point import add_update
training_round = TrainingRound.objects.get(round_id="{round_id}")
config = RoundConfig.decode(bytes(training_round.config))
sent = list(training_round.submissions.order_by("organization__org_id"))
read = lambda digest: codec.decode(blobs().get(digest))
cohort = Cohort(
    [codec.flatten(read(row.update_digest)) for row in sent],
    weighting.weights([row.samples for row in sent], config.weighting),
    [row.wire_digest for row in sent],
)
update = engine.aggregate(registry.build(config.aggregation_method, config.aggregation_params), cohort).update
parent = read(ModelVersion.objects.get(model_name=config.model_name, model_hash=config.parent_hash).blob_digest)
model = add_update(codec.flatten(parent), update)
print(codec.model_hash(codec.encode(codec.unflatten(model, codec.schema_of(parent)))))
"""


def recomputed(coordinator: Coordinator, round_id: str) -> str:
    """The hash of the model, recomputed on the coordinator's own rows and files."""
    done = coordinator.manage("shell", "--no-imports", "-c", _RECOMPUTE.format(round_id=round_id))
    return done.stdout.split("\n")[-2]
