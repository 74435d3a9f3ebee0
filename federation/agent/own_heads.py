"""Heads of the response policy that this organisation keeps for itself, where `[response] personal_heads` says so.

Rounds then get an update of the shared trunk alone. Heads are kept under the hash of the model that their round started
from, and belong to what came of that round: a round that released nothing leaves none behind, training for it again
begins where it began before, and heads whose release was withdrawn are used no more.
"""

from __future__ import annotations

from federation.agent import files
from federation.agent.errors import HomeInvalid
from federation.agent.session import Agent
from flxdr.core.errors import FlxdrError
from ledger.chain.block import Header, parse_header
from models_ml import codec
from models_ml.codec import Int32, ModelSchema
from models_ml.registry import RL_POLICY
from models_ml.response.policy import HEADS, SHAPES
from models_ml.response.task import RlPolicyTask
from models_ml.tasks import LocalTask

Heads = dict[str, Int32]

KEPT = 32
_SCHEMA = ModelSchema.of({name: SHAPES[name] for name in HEADS})


def keeps_heads(agent: Agent, model_name: str) -> bool:
    """Whether this organisation keeps heads of that model to itself."""
    return agent.config.response.personal_heads and model_name == RL_POLICY


def task_with(agent: Agent, task: LocalTask, header: Header | None) -> LocalTask:
    """The task under this organisation's own heads where it keeps any; else as it is.

    Args:
        header: of the release to train from or to judge; None before the first.

    Raises:
        HomeInvalid: as `heads_of`.
    """
    if not keeps_heads(agent, task.model_name):
        return task
    return RlPolicyTask(personal_heads=True, heads=heads_of(agent, header) if header else None)


def heads_of(agent: Agent, header: Header) -> Heads:
    """Own heads that belong to a release, or to a proposed one: those of its own round, else of the newest before it.

    Returns:
        Nothing where this organisation had no part in its making.

    Raises:
        HomeInvalid: the kept file holds something else.
    """
    following: Header | None = header
    while following is not None and following.provenance is not None:
        parent = following.provenance.parent_model_hash
        found = {} if parent is None else _read(agent, parent)
        if found:
            return found
        before = agent.state.newest_release(following.provenance.model_name, below=following.height)
        following = parse_header(before.header) if before else None
    return {}


def keep(agent: Agent, task: LocalTask, parent_hash: str | None) -> None:
    """Keep what a task that is under own heads has made of them in a round from `parent_hash`."""
    if parent_hash is None or not isinstance(task, RlPolicyTask) or not task.heads:
        return
    files.make_private_folder(agent.home.heads)
    files.write_durably(agent.home.heads / f"{parent_hash}.safetensors", codec.encode(task.heads))
    files.keep_newest(agent.home.heads, KEPT)


def _read(agent: Agent, parent_hash: str) -> Heads:
    path = agent.home.heads / f"{parent_hash}.safetensors"
    try:
        found = codec.decode(path.read_bytes())
        codec.check_schema(found, _SCHEMA)
    except FileNotFoundError:
        return {}
    except FlxdrError as error:
        raise HomeInvalid(
            f"{path}: {error.detail}",
            expected="both heads of the response policy",
            action="Restore it from your backup, or remove it: training begins with older heads then.",
        ) from error
    return found
