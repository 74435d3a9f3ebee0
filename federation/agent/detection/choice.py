"""Which model detects and which policy advises; both go on working from what is verified while nobody answers."""

from __future__ import annotations

from federation.agent import chain
from federation.agent.detection.scorers import DETECTORS
from federation.agent.errors import CheckFailed, HomeInvalid, Refused, Unreachable
from federation.agent.evaluation import LATEST, FoundModel, find_model
from federation.agent.model_store import built_on, fetch_basis, fetch_model, withdrawn_among
from federation.agent.own_heads import heads_of, keeps_heads
from federation.agent.session import Agent
from federation.agent.state_rows import StoredBlock
from ledger.chain.block import parse_header
from models_ml.errors import SchemaMismatch
from models_ml.registry import MODELS, RL_POLICY
from models_ml.response.policy import has_learnt, under_heads
from models_ml.response.recommend import Recommender


def choose_model(agent: Agent, target: str) -> FoundModel:
    """The model that `target` names: `latest`, a hash, or a file.

    `latest` is the newest standing release of the first of `DETECTORS` that has one. Without the coordinator it is the
    newest that was verified here before, if its file is here as well.

    Raises:
        CheckFailed: nothing is released, or the model or one that it builds on was withdrawn.
        UsageInvalid, Refused, Unreachable: as `find_model`.
    """
    if target != LATEST:
        found = find_model(agent, target)
    else:
        _follow(agent)
        release = next(filter(None, map(agent.state.newest_release, DETECTORS)), None)
        if release is None or release.model_name is None or release.model_hash is None:
            raise CheckFailed(
                f"no release of {' or '.join(DETECTORS)} stands on the chain",
                expected="a sealed release",
                action="Wait for the federation's first release, or train a model of your own (`flxdr-agent train`) "
                "and name its file with --model.",
            )
        tensors = fetch_model(agent, release.model_hash, MODELS[release.model_name].schema)
        basis = fetch_basis(agent, built_on(agent, release))
        found = FoundModel(
            release.model_name, release.model_hash, tensors, basis, release.height, version=release.model_version
        )
    if found.withdrawn:
        raise CheckFailed(
            f"model {found.model_hash} was withdrawn by the members",
            expected="a release that stands",
            action="Use --model latest.",
        )
    gone = withdrawn_among(agent, found.basis_hashes)
    if gone:
        raise CheckFailed(
            f"the members withdrew the {' and the '.join(gone)} that model {found.model_hash} builds on",
            expected="a model that builds on releases that stand",
            action="Wait for the next release, or name a model that builds on others with --model.",
        )
    return found


def choose_policy(agent: Agent) -> tuple[Recommender, StoredBlock | None]:
    """A recommender by the newest standing release of the policy, with its block; by the playbook without one.

    A policy whose network or normaliser was withdrawn since does not advise: it reads incidents as those saw them. Nor
    does one that nobody has trained the heads of, as in a federation whose members all keep their own.
    """
    release = agent.state.newest_release(RL_POLICY)
    if release is None or release.model_hash is None:
        return Recommender(None), None
    gone = withdrawn_among(agent, built_on(agent, release))
    if gone:
        withdrawn = f"the members withdrew the {' and the '.join(gone)} that it builds on"
        agent.output.warn(f"{withdrawn}: the playbook recommends, not the policy of block {release.height}")
        return Recommender(None), None
    try:
        tensors = fetch_model(agent, release.model_hash)
        heads = heads_of(agent, parse_header(release.header)) if keeps_heads(agent, RL_POLICY) else {}
        recommender = Recommender(tensors, heads=heads)
    except (Unreachable, Refused, SchemaMismatch, HomeInvalid) as error:  # advice is no reason to detect nothing
        agent.output.warn(f"{error.detail}: the playbook recommends, not the policy of block {release.height}")
        return Recommender(None), None
    if not has_learnt(under_heads(tensors, heads)):
        agent.output.warn(f"nobody trained the heads of the policy of block {release.height}: the playbook recommends")
        return Recommender(None), None
    return recommender, release


def _follow(agent: Agent) -> None:
    try:
        chain.follow(agent)
    except Unreachable as error:
        agent.output.warn(f"{error.detail}; going on with what was verified before")
