"""`run`, `train`: the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from federation.agent import files, local_only
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened, surroundings
from federation.agent.commands.signals import stopping_on_signals
from federation.agent.errors import StopRequested, UsageInvalid
from federation.agent.evaluation import beside
from federation.agent.loop import Runner
from federation.agent.output import table
from federation.agent.records import RecordSource
from federation.agent.session import Agent
from models_ml import codec
from models_ml.adapters import ReadReport
from models_ml.local_trainer import LocalConfig
from models_ml.registry import EDGE_CLASSIFIER, MODELS


def run(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now and end.")] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Take part: train for rounds, submit, follow the chain, check and vote. SIGTERM and SIGINT stop it cleanly."""
    with opened(context, home, machine) as agent, agent.home.locked():
        runner = Runner(agent, _source(agent), pause=surroundings(context).pause, once=once)
        try:
            with stopping_on_signals():
                runner.run()
        except StopRequested:
            agent.output.event("stopped", "Stopped.")


def train(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Option("--model", help="Which model.")] = EDGE_CLASSIFIER,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often to train on from where it ended.")] = 1,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the records, each round.")] = 5,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=1e-6)] = 0.01,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Model file to write.", show_default="HOME/local/MODEL.safetensors")
    ] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Train on this organisation's records alone; nothing is sent. The last slice of time is kept for validation."""
    with opened(context, home, machine) as agent:
        if model not in MODELS:
            raise UsageInvalid(f"no model {model!r}", expected=" | ".join(MODELS))
        records = _source(agent).load()
        warn_of_bad_lines(agent, records.reports)
        config = LocalConfig(
            epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, proximal_mu=0.0, seed=seed
        )
        with agent.output.progress(f"Training {model}") as advance:
            trained = local_only.train_alone(model, records, rounds=rounds, config=config, progress=advance)
        path = out or agent.home.folder / "local" / f"{model}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        body = codec.encode(trained.tensors)
        files.write_durably(path, body)
        for name, tensors in trained.basis.items():
            files.write_durably(beside(path, name), codec.encode(tensors))
        document = {
            "model": model,
            "file": str(path),
            "model_hash": codec.model_hash(body),
            "samples": trained.samples,
            "validation_records": len(records.validation),
            "metrics": trained.metrics,
            "records": [report.as_json() for report in records.reports],
        }
        agent.output.result(
            document, f"Model file: {path}", metrics_table("On later records of one's own", trained.metrics)
        )


def _source(agent: Agent) -> RecordSource:
    return RecordSource(agent.config.data, agent.home.folder, agent.key)


def warn_of_bad_lines(agent: Agent, reports: Sequence[ReadReport]) -> None:
    for report in reports:
        if report.malformed:
            lines = ", ".join(f"{bad.number} ({bad.reason})" for bad in report.examples[:3])
            agent.output.warn(f"{report.source}: {report.malformed} malformed line(s) left out, e.g. line {lines}")


def metrics_table(title: str, figures: Mapping[str, float]) -> Table:
    return table(title, ("figure", "value"), [(name, f"{value:.4f}") for name, value in figures.items()])
