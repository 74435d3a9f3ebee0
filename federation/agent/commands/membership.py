"""`enrol`, `verify`, `status`: where this organisation stands, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from federation.agent import chain, enrolment, witness
from federation.agent.client import Backoff
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened, reporting, surroundings
from federation.agent.errors import CheckFailed, Refused, Unreachable, UsageInvalid
from federation.agent.output import Output
from federation.agent.session import Agent
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError, Malformed
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.verify import Report, verify_chain


def enrol(
    context: typer.Context,
    *,
    genesis: Annotated[
        str | None, typer.Option("--genesis", help="Genesis hash, learned from somebody you trust.")
    ] = None,
    token: Annotated[str | None, typer.Option("--token", help="Enrolment token from the operator.")] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Register with proof of the key, and pin the chain's genesis."""
    with opened(context, home, machine) as agent, agent.home.locked():
        done = enrolment.enrol(agent, genesis=genesis, enrolment_token=token)
        if done.trust == "first-use":
            agent.output.warn(
                f"genesis {done.genesis} is pinned on the coordinator's word alone; compare it with another member"
            )
        document = {
            "org_id": done.org_id,
            "status": done.status,
            "key_id": done.key_id,
            "genesis": done.genesis,
            "genesis_trust": done.trust,
        }
        following = "Next: flxdr-agent run" if done.status == "active" else "Wait for the operator's approval."
        agent.output.result(
            document,
            f"{done.org_id} is registered: {done.status}",
            f"Genesis pinned: {done.genesis} ({done.trust})",
            following,
        )


def verify(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export to verify, offline, instead of the live chain.")
    ] = None,
    genesis: Annotated[
        str | None, typer.Option("--genesis", help="Genesis hash that the file must start from.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint that the chain must agree with; may be given several times."),
    ] = None,
    log_key: Annotated[
        str | None, typer.Option("--log-key", help="The log's verifier key, for a checkpoint that is a note alone.")
    ] = None,
    witnesses: Annotated[
        int, typer.Option("--witnesses", min=0, help="So many members at least must have cosigned a checkpoint of it.")
    ] = 0,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Verify the whole chain. Exit code 1 names the first bad height.

    Without FILE the chain is downloaded and verified from the pinned genesis. With FILE neither a coordinator nor an
    agent's folder is needed.
    """
    if file is not None:
        with reporting(machine) as output:
            _tell(output, _verify_file(output, file, genesis, _held(checkpoint, log_key)), witnesses)
        return
    if genesis is not None:
        raise typer.BadParameter("the live chain is verified from the genesis that was pinned at enrolment")
    with opened(context, home, machine) as agent:
        held = _held(checkpoint, log_key)
        with agent.output.progress("Verifying blocks") as advance:
            if witnesses:
                held.append(witness.newest_cosigned(agent, witnesses))
            report = chain.verify_all(agent, advance, checkpoints=held)
        _tell(agent.output, report, witnesses)


def _held(files: Sequence[Path] | None, log_key: str | None) -> list[HeldCheckpoint]:
    held = []
    for file in files or ():
        try:
            held.append(HeldCheckpoint.read(file.read_bytes(), log_key))
        except OSError as error:
            raise UsageInvalid(
                f"{file} cannot be read: {error.strerror}", action="Name a checkpoint's file."
            ) from error
        except Malformed as error:
            raise UsageInvalid(f"{file}: {error.detail}", expected=error.expected, action=error.action) from error
    return held


def _verify_file(output: Output, file: Path, genesis: str | None, held: Sequence[HeldCheckpoint]) -> Report:
    try:
        with file.open("rb") as stream:
            tree = TreeWatch([*held, *export.own_checkpoint(stream)])
            report = verify_chain(export.records(stream), genesis=genesis, tree=tree, now=SystemClock().now()).report
    except OSError as error:
        raise UsageInvalid(
            f"{file} cannot be read: {error.strerror}", action="Name a file of `export_chain`."
        ) from error
    if genesis is None:
        output.warn("no --genesis was given: another chain, whole and valid, would verify just as well")
    return report


def _tell(output: Output, report: Report, witnesses: int) -> None:
    output.result(report.as_json(), *_verdict(report))
    if not report.chain_valid:
        raise typer.Exit(1)
    cosigned = report.last_good_checkpoint["cosigned_by"] if report.last_good_checkpoint else ()
    if len(cosigned) < witnesses:
        raise CheckFailed(
            f"{len(cosigned)} member(s) cosigned the newest checkpoint that the chain agrees with",
            expected=f"at least {witnesses}",
            action="Compare your checkpoint with those that the others hold.",
        )


def _verdict(report: Report) -> list[str]:
    lines = [f"Warning: {text}" for text in report.warnings]
    bad = report.first_bad
    if bad is not None:
        return [*lines, f"BAD at height {bad.height}: {bad.code}, {bad.field}: {bad.actual} (expected: {bad.expected})"]
    return [
        *lines,
        f"Chain valid: {report.blocks_verified} blocks, last {report.last_block_hash}",
        *([_agreement(report.last_good_checkpoint)] if report.last_good_checkpoint else []),
        f"Blocks above the newest one that was remembered or held: {report.unanchored}",
    ]


def _agreement(checkpoint: Mapping[str, Any]) -> str:
    signers = ", ".join(checkpoint["cosigned_by"])
    return f"Agrees with the checkpoint of {checkpoint['size']} blocks" + (
        f", cosigned by {signers}" if signers else ""
    )


def status(context: typer.Context, *, home: Home = DEFAULT_HOME, machine: Json = False) -> None:
    """What this agent remembers, and whether the coordinator answers."""
    # One try is enough to tell whether the coordinator answers.
    context.obj = replace(surroundings(context), backoff=Backoff(attempts=1))
    with opened(context, home, machine) as agent:
        document = _status(agent, home)
        agent.output.result(document, *_status_lines(document))


def _status_lines(document: Mapping[str, Any]) -> list[str]:
    """One `name: value` a line: hashes stay whole, whatever the width of the terminal."""
    apart = {"releases", "last_update", "checkpoint", "cosigned"}
    shown = {name: value for name, value in document.items() if name not in apart}
    lines = [f"{name}: {', '.join(value) if isinstance(value, list) else value}" for name, value in shown.items()]
    for name, release in document["releases"].items():
        newer = (
            f" (versions up to {release['newest']} are withdrawn)" if release["newest"] != release["version"] else ""
        )
        standing = f"version {release['version']}, {release['model_hash']}" if release["version"] else "none stands"
        lines.append(f"release of {name}: {standing}{newer}")
    if (held := document["checkpoint"]) is not None:
        own = ", cosigned" if held["cosigned"] else ""
        lines.append(f"checkpoint: {held['size']} blocks, {held['root_hash']}{own}")
        newest = document["cosigned"]
        lines.append(f"cosigned by others: {newest['size']} blocks, {', '.join(newest['by']) or 'nobody yet'}")
    return [*lines, f"last update: {_fate(document['last_update'])}"]


def _fate(update: Mapping[str, Any] | None) -> str:
    """What became of an update."""
    if update is None:
        return "none yet"
    if update["outcome"] == "refused":
        return f"{update['round_id']}: your update was not taken: {update['detail']}"
    if update["left_out_reason"] is not None:
        return f"{update['round_id']}: your update was left out: {update['left_out_reason']}"
    score = update["anomaly_score"]
    return f"{update['round_id']}: {update['outcome']}" + ("" if score is None else f", anomaly score {score:.2f}")


def _status(agent: Agent, home: Path) -> dict[str, Any]:
    state, held = agent.state.chain(), agent.state.witness.held()
    answer = _answer(agent)
    return {
        "org_id": agent.org_id,
        "home": str(home.expanduser()),
        "coordinator": agent.config.coordinator.url,
        "coordinator_answer": answer,
        "key_id": agent.key.public.key_id,
        "algorithm": agent.key.algorithm.value,
        "genesis": agent.state.pin("chain_id"),
        "height": state.height if state else None,
        "block_hash": state.block_hash if state else None,
        "member": state is not None and state.keys.key(agent.org_id, agent.key.public.key_id) is not None,
        "members": sorted(state.keys.members) if state else [],
        "checkpoint": {"size": held.size, "root_hash": held.root.hex(), "cosigned": held.sent} if held else None,
        "cosigned": {"size": held.cosigned_size, "by": list(held.cosigned_by)} if held else None,
        "updates_to_send": len(agent.state.unfinished_updates()),
        "votes_to_send": len(agent.state.unsent_votes()),
        "releases": {
            name: {
                "version": lineage.current.version if lineage.current else 0,
                "model_hash": lineage.current.model_hash if lineage.current else None,
                "newest": lineage.newest.version,
            }
            for name, lineage in (state.releases.items() if state else ())
        },
        "last_update": _last_update(agent, reachable=answer == "ok"),
    }


def _last_update(agent: Agent, *, reachable: bool) -> dict[str, Any] | None:
    """The newest update: what this agent remembers of it, and how the coordinator says that it compared."""
    update = agent.state.newest_update()
    if update is None:
        return None
    row = _own_row(agent, update.round_id) if reachable and update.outcome == "accepted" else {}
    reason, score = row.get("left_out_reason"), row.get("anomaly_score")
    return {
        "round_id": update.round_id,
        "outcome": update.outcome,
        "detail": update.detail,
        "left_out_reason": reason if isinstance(reason, str) else None,
        "anomaly_score": score if isinstance(score, float) else None,
    }


def _own_row(agent: Agent, round_id: str) -> dict[str, Any]:
    """This organisation's row among a round's participants; empty if the coordinator does not tell."""
    try:
        rows = agent.coordinator.get(f"federation/round/{round_id}/participants").get("participants")
    except FlxdrError:
        return {}
    own = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return next((row for row in own if row.get("org_id") == agent.org_id), {})


def _answer(agent: Agent) -> str:
    try:
        agent.coordinator.check_protocol()
        agent.coordinator.get("federation/round/current", {"wait": 0})
    except Unreachable:
        return "not reachable"
    except Refused as refusal:
        return refusal.detail
    except FlxdrError as error:
        return str(error)
    return "ok"
