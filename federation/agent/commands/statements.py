"""`attest`, `verify-statement`: provenance statements about released models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from federation.agent import attestation, chain
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened, reporting
from federation.agent.errors import CheckFailed, UsageInvalid
from federation.agent.records import RecordSource
from flxdr.core.clock import SystemClock
from flxdr.core.dsse import Envelope
from flxdr.core.errors import Malformed
from ledger.chain import export
from ledger.chain.anchoring import TreeWatch
from ledger.chain.statement import Verified, verify_statement
from models_ml.registry import EDGE_CLASSIFIER


def attest(
    context: typer.Context,
    *,
    version: Annotated[int | None, typer.Argument(help="Which release of the model; default: the newest.")] = None,
    model: Annotated[str, typer.Option("--model", help="Which model.")] = EDGE_CLASSIFIER,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Sign a provenance statement about a release of the verified chain, keep it, and send it to the coordinator."""
    with opened(context, home, machine) as agent:
        chain.follow(agent)
        state = agent.state
        block = state.newest_release(model) if version is None else state.release_version(model, version)
        if block is None:
            raise CheckFailed(f"the verified chain has no such release of {model}", expected="a sealed release")
        records = RecordSource(agent.config.data, agent.home.folder, agent.key)
        path = attestation.attest(agent, block, records)
        refused = attestation.send(agent, block.height)
        document = {
            "model": model,
            "version": block.model_version,
            "height": block.height,
            "file": str(path),
            "accepted": refused is None,
            "detail": refused,
        }
        agent.output.result(
            document,
            f"{model} v{block.model_version} (block {block.height}): {path}",
            "The coordinator has it." if refused is None else f"The coordinator refused it: {refused}",
        )
        if refused is not None:
            raise typer.Exit(1)


def verify_statements(
    *,
    file: Annotated[Path, typer.Argument(help="An envelope, or what the coordinator answers about a block.")],
    exported: Annotated[Path, typer.Option("--export", help="An export of the chain.")],
    genesis: Annotated[str | None, typer.Option("--genesis", help="Genesis hash that it must start from.")] = None,
    machine: Json = False,
) -> None:
    """Verify provenance statements against an export; neither a coordinator nor an agent's folder is needed."""
    with reporting(machine) as output:
        try:
            envelopes = _envelopes(orjson.loads(file.read_bytes()))
            found = [_verified(envelope, exported, genesis) for envelope in envelopes]
        except OSError as error:
            raise UsageInvalid(f"{error.filename} cannot be read: {error.strerror}", expected="a file") from error
        except (orjson.JSONDecodeError, Malformed) as error:
            raise UsageInvalid(f"{file}: {error}", expected="a DSSE envelope") from error
        if genesis is None:
            output.warn("no --genesis was given: another chain, whole and valid, would verify just as well")
        documents = [_document(each) for each in found]
        output.result({"statements": documents}, *(_sentence(each) for each in found))


def _envelopes(document: Any) -> Sequence[Envelope]:
    served = document.get("statements") if isinstance(document, dict) else None
    items: list[Any] = served if isinstance(served, list) else [{"envelope": document}]
    envelopes: list[Any] = [item.get("envelope") if isinstance(item, dict) else item for item in items]
    return [Envelope.from_json(envelope) for envelope in envelopes]


def _verified(envelope: Envelope, exported: Path, genesis: str | None) -> Verified:
    with exported.open("rb") as stream:
        tree = TreeWatch(export.own_checkpoint(stream))
        return verify_statement(envelope, export.records(stream), genesis=genesis, tree=tree, now=SystemClock().now())


def _document(found: Verified) -> dict[str, Any]:
    predicate = found.statement.predicate
    return {
        "subject": found.statement.subject[0].name,
        "sha256": found.statement.subject[0].digest.sha256,
        "org_id": predicate.organization.org_id,
        "key_id": found.key_id,
        "key_retired_at": found.retired_height,
        "height": predicate.block.height,
        "trained": predicate.organization.trained,
        "own_update": predicate.organization.update is not None,
        "blocks_verified": found.report.blocks_verified,
    }


def _sentence(found: Verified) -> str:
    predicate = found.statement.predicate
    own, subject = predicate.organization, found.statement.subject[0]
    parts = [
        f"{own.org_id} attests {subject.name} ({subject.digest.sha256}), released by block {predicate.block.height}"
    ]
    parts.append(
        "with an update of its own in it" if own.update else "it trained" if own.trained else "it did not train"
    )
    if own.validation is not None:
        before = "-" if own.validation.before_ppm is None else f"{own.validation.before_ppm / 1e6:.4f}"
        parts.append(f"{own.validation.score} {before} -> {own.validation.after_ppm / 1e6:.4f} on its own records")
    if found.retired_height is not None:
        parts.append(f"its key was retired by block {found.retired_height}")
    return "; ".join(parts)
