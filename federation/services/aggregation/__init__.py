"""From a closed collection to a proposed model, in one go or by shards that several workers share.

`claims` says who works on what; `inputs` reads what a round collected; `whole` and `shards` are the two ways to the
combined update, `work` is what they share; `release_files` and `proposal` make a candidate of it; `rounds` and
`shards` hold the two services.
"""

from federation.services.aggregation.claims import LEASE
from federation.services.aggregation.round_task import aggregate_round
from federation.services.aggregation.shard_task import aggregate_shard

__all__ = ["LEASE", "aggregate_round", "aggregate_shard"]
