"""`kill -9` of the worker while it shares a round by shards: one block, with the model that one worker alone makes."""

from pathlib import Path

from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER
from tests.e2e.federation import Federation
from tests.support.processes import eventually

ENVIRONMENT = {"FL_AGGREGATION_SHARD_VALUES": "1024"}  # 64 coordinates a shard
SHARDS = 80  # of 5,065 coordinates

RECOMPUTE = """
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
print(sorted(training_round.shards.values_list("step", "status")))
"""


def test_in_the_middle_of_both_steps(federation: Federation) -> None:
    assert federation.finish(federation.start_round(EDGE_NORMALISER), timeout=240) == "completed"
    round_id = federation.start_round(EDGE_CLASSIFIER)
    for member in federation.members:
        member.step()
    for pieces in (SHARDS // 4, SHARDS + SHARDS // 4):
        _kill_while_it_writes(federation, round_id, pieces)
        assert federation.status(round_id) == "aggregating"
    assert federation.finish(round_id, timeout=240) == "completed"

    assert federation.releases().count(round_id) == 1
    assert federation.verify_chain()["chain_valid"]
    recomputed, shards = federation.coordinator.manage("shell", "-c", RECOMPUTE.format(round_id=round_id)).stdout.split(
        "\n"
    )[-3:-1]
    assert federation.chain()[-1].model_hash == recomputed
    assert shards == str([("combine", "done")] * SHARDS + [("measure", "done")] * SHARDS)
    eventually(lambda: not _pieces(federation, round_id), what="the pieces are thrown away")


def _kill_while_it_writes(federation: Federation, round_id: str, pieces: int) -> None:
    """Kill the worker in the middle of a shard, once there are so many pieces; and again if it was between two."""
    incoming = federation.coordinator.data_dir / "scratch" / round_id / "incoming"
    left_before = set(incoming.glob(".incoming-*"))

    def half_written() -> set[Path]:
        return set(incoming.glob(".incoming-*")) - left_before

    for _ in range(20):
        eventually(
            lambda: _pieces(federation, round_id) >= pieces and half_written(),
            what=f"a shard is written after {pieces}\n{federation.coordinator.tail()}",
            timeout=120,
            every=0.0005,
        )
        killed = federation.coordinator.kill("worker")
        eventually(lambda: federation.coordinator.pid("worker") not in {None, killed}, what="another worker")  # noqa: B023
        if half_written():
            return
    raise AssertionError("the worker was never killed in the middle of a shard")


def _pieces(federation: Federation, round_id: str) -> int:
    """How many files the shards of the round have left for each other."""
    folder = federation.coordinator.data_dir / "scratch" / round_id
    return sum(path.is_file() for path in folder.glob("??/*")) if folder.exists() else 0
