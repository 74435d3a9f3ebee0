"""`evaluate`: how good a model is, on which records, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from federation.agent import files
from federation.agent.commands.learning import metrics_table, warn_of_bad_lines
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.comparing import Judged, judge, split_of, threshold_source
from federation.agent.errors import UsageInvalid
from federation.agent.evaluation import LATEST, FoundModel, find_model
from federation.agent.model_store import withdrawn_among
from federation.agent.output import table
from federation.agent.own_heads import heads_of, keeps_heads
from federation.agent.records import RecordSource
from federation.agent.report.page import Report, render
from federation.agent.report.plots import Shown
from federation.agent.session import Agent
from ledger.chain.block import parse_header
from models_ml.adapters import ReadReport
from models_ml.baselines import train_alone
from models_ml.local_task import ClassifierTask
from models_ml.local_trainer import LocalConfig
from models_ml.registry import EDGE_CLASSIFIER, MODELS
from models_ml.response.task import RlPolicyTask
from models_ml.splits import Split
from models_ml.tasks import task_for


def evaluate(
    context: typer.Context,
    *,
    target: Annotated[str, typer.Argument(metavar="[MODEL_HASH|FILE|latest]", help="Which model.")] = LATEST,
    model: Annotated[str, typer.Option("--model", help="The name of the model that `latest` means.")] = EDGE_CLASSIFIER,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Flow records to test on (repeatable); default: one's own later records."),
    ] = None,
    test_capture: Annotated[
        list[str] | None, typer.Option("--test-capture", help="Test on this capture as a whole (repeatable).")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Train one's own model on one's own records and evaluate it beside.")
    ] = False,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="With --local; default: as many as the release has behind it.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="With --local: passes in each round.")] = 5,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="With --local.")] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=1e-6, help="With --local.")] = 0.01,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of local training and of the intervals.")] = 0,
    report: Annotated[Path | None, typer.Option("--report", help="HTML file to write, with plots.")] = None,
    basis: Annotated[
        list[str] | None,
        typer.Option("--basis", help="Hash or file of a model that it builds on, where it is not the obvious one."),
    ] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Evaluate a model on labelled flow records, split by capture and time, never at random."""
    with opened(context, home, machine) as agent:
        if model not in MODELS:
            raise UsageInvalid(f"no model {model!r}", expected=" | ".join(MODELS))
        found = find_model(agent, target, basis=basis or (), model=model)
        if (local or report) and not isinstance(task_for(found.name), ClassifierTask):
            raise UsageInvalid(f"{found.name} tells no families apart", expected="neither --local nor --report")
        source = RecordSource(agent.config.data, agent.home.folder, agent.key)
        split, reports = split_of(source, data or (), test_captures=test_capture or (), local=local)
        warn_of_bad_lines(agent, reports)
        warnings = _warnings(agent, found, split)
        for warning in warnings:
            agent.output.warn(warning)
        figures = task_for(found.name).evaluate(found.tensors, split.test, basis=found.basis)
        judged: list[Judged] = []
        if isinstance(task_for(found.name), ClassifierTask):
            judged.append(judge(found.bound, split, label=_label(found), seed=seed))
        if local:
            config = LocalConfig(
                epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, proximal_mu=0.0, seed=seed
            )
            count = rounds or found.version or 1
            with agent.output.progress(f"Training {found.name} alone") as advance:
                own = train_alone(split.training, found.name, rounds=count, config=config, progress=advance)
            label = f"own records alone, {count} x {epochs} epochs"
            judged.append(judge(own, split, label=label, seed=seed))
        document = _document(found, split, reports, figures, judged)
        tables = _lines(found, figures, judged)
        under_own = _under_own_heads(agent, found, split)
        if under_own is not None:
            document["with_own_heads"] = under_own
            tables.append(metrics_table("The same trunk under the heads that are kept here", under_own))
        if report is not None:
            page = _page(found, split, reports, judged, warnings)
            files.write_durably(report, render(page).encode())
            document["report"] = str(report)
        agent.output.result(document, *tables, *([f"Report: {report}"] if report else []))


def _warnings(agent: Agent, found: FoundModel, split: Split) -> list[str]:
    warnings = []
    if found.withdrawn:
        warnings.append(f"model {found.model_hash} was withdrawn by the members: it is to be used no more")
    gone = withdrawn_among(agent, found.basis_hashes)
    if gone:
        warnings.append(f"the members withdrew the {' and the '.join(gone)} that it builds on: it does not detect")
    if split.overlap:
        warnings.append(
            f"{split.overlap} of {len(split.test)} test records are records to train on too: figures are too good"
        )
    return warnings


def _under_own_heads(agent: Agent, found: FoundModel, split: Split) -> dict[str, float] | None:
    """Figures of a released response policy as it advises here; None where this organisation keeps no heads for it."""
    release = agent.state.release_of(found.model_hash) if found.height is not None else None
    if release is None or not keeps_heads(agent, found.name):
        return None
    heads = heads_of(agent, parse_header(release.header))
    if not heads:
        return None
    task = RlPolicyTask(personal_heads=True, heads=heads)
    return task.evaluate(found.tensors, split.test, basis=found.basis)


def _label(found: FoundModel) -> str:
    return f"{found.name} {found.model_hash[:12]}"


def _document(
    found: FoundModel,
    split: Split,
    reports: Sequence[ReadReport],
    figures: dict[str, float],
    judged: Sequence[Judged],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "model": found.name,
        "model_hash": found.model_hash,
        "model_version": found.version,
        "block_height": found.height,
        "withdrawn": found.withdrawn,
        "basis": found.basis_hashes,
        "metrics": figures,
        "split": split.as_json(),
        "records": [report.as_json() for report in reports],
    }
    if judged:
        document["threshold_source"] = threshold_source(split)
        document["indicator_matches"] = int(split.test.indicator.sum())
        document["models"] = [each.as_json() for each in judged]
    return document


def _lines(found: FoundModel, figures: dict[str, float], judged: Sequence[Judged]) -> list[Table]:
    title = f"{found.name} {found.model_hash[:16]}, " + (
        f"released by block {found.height}" if found.height is not None else "no release on the verified chain"
    )
    tables = [metrics_table(title, figures)]
    if judged:
        names = list(judged[0].assessment.figures)
        rows = [(name, *(_with_interval(each, name) for each in judged)) for name in names]
        tables.append(table("At thresholds of one's own", ("figure", *(each.label for each in judged)), rows))
    return tables


def _with_interval(judged: Judged, name: str) -> str:
    value, ends = judged.assessment.figures.get(name), judged.assessment.intervals.get(name)
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else "")


def _page(
    found: FoundModel,
    split: Split,
    reports: Sequence[ReadReport],
    judged: Sequence[Judged],
    warnings: Sequence[str],
) -> Report:
    released = "no release on the verified chain: nobody vouches for it"
    if found.height is not None:
        released = f"block {found.height}, version {found.version}"
    basis = [(f"builds on {name}", digest) for name, digest in found.basis_hashes.items()]
    return Report(
        title=f"Evaluation of {found.name}",
        made=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        models=[Shown(each.label, each.assessment, place) for place, each in enumerate(judged)],
        facts=[
            ("model", f"{found.name}: {MODELS[found.name].description}"),
            ("hash", found.model_hash),
            ("released by", released),
            ("standing", "withdrawn by the members" if found.withdrawn else "not withdrawn"),
            *basis,
        ],
        split=split.as_json(),
        threshold_source=threshold_source(split),
        sources=[report.as_json() for report in reports],
        warnings=warnings,
    )
