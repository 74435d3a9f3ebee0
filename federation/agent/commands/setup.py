"""`init`: a home with a fresh key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.agent import home as agent_home
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, reporting
from federation.agent.config import (
    DEFAULT_MODELS,
    AdmissionPolicy,
    AgentConfig,
    CoordinatorSection,
    DataSection,
    PolicySection,
    ReleasePolicy,
)
from flxdr.core.keys import Algorithm
from models_ml.validation import TOLERANCE


def init(
    *,
    org_id: Annotated[str, typer.Option("--org-id", help="The organisation's name on the wire.")],
    name: Annotated[str, typer.Option("--name", help="The organisation's full name.")],
    coordinator: Annotated[str, typer.Option("--coordinator", help="Scheme and host, e.g. https://flxdr.example.org")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Flow records: a file or a folder. Repeatable.")
    ] = None,
    data_format: Annotated[str, typer.Option("--format", help="auto, zeek-csv, zeek-tsv or zeek-json.")] = "auto",
    algorithm: Annotated[Algorithm, typer.Option("--algorithm", help="Of the signing key.")] = Algorithm.ML_DSA_65,
    releases: Annotated[ReleasePolicy, typer.Option("--releases", help="Who votes on releases.")] = "auto",
    admissions: Annotated[AdmissionPolicy, typer.Option("--admissions", help="Who votes on admissions.")] = "manual",
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0, max=1, help="How much worse than its parent a release may score here."),
    ] = TOLERANCE,
    model: Annotated[list[str] | None, typer.Option("--model", help="Model to train for. Repeatable.")] = None,
    ca_file: Annotated[str, typer.Option("--ca-file", help="PEM of the coordinator's authority.")] = "",
    client_certificate: Annotated[str, typer.Option("--client-certificate", help="PEM, for mTLS.")] = "",
    client_key: Annotated[str, typer.Option("--client-key", help="PEM, for mTLS.")] = "",
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Make a home: signing key, configuration, policies. Nothing that exists is overwritten."""
    config = AgentConfig(
        org_id=org_id,
        name=name,
        coordinator=CoordinatorSection(
            url=coordinator, ca_file=ca_file, client_certificate=client_certificate, client_key=client_key
        ),
        data=DataSection(paths=tuple(str(path.resolve()) for path in data or ()), format=data_format),
        policy=PolicySection(
            releases=releases, admissions=admissions, tolerance=tolerance, models=tuple(model or DEFAULT_MODELS)
        ),
    )
    with reporting(machine) as output:
        made, key = agent_home.Home.create(home.expanduser(), config, algorithm)
        output.result(
            {
                "home": str(made.folder),
                "org_id": org_id,
                "algorithm": algorithm.value,
                "key_id": key.public.key_id,
                "public_key": key.public.to_base64(),
            },
            f"Home: {made.folder} (keep a backup of {made.key_file.name}: a lost key cannot be made again)",
            f"Key id: {key.public.key_id} ({algorithm.value}); other members pin it",
            "Next: flxdr-agent enrol",
        )
