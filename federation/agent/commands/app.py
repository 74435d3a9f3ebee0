"""The command line's commands, put together."""

from __future__ import annotations

import typer

from federation.agent.commands import (
    detect,
    evaluate,
    keys,
    learning,
    membership,
    page,
    privacy,
    sanitize,
    setup,
    share,
    statements,
    votes,
)
from federation.agent.errors import EXIT_CODES_HELP

app = typer.Typer(
    name="flxdr-agent",
    help="Takes part in a federation for one organisation: trains on records that stay here, checks and votes.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold keys
)
app.command("init")(setup.init)
app.command("enrol")(membership.enrol)
app.command("run")(learning.run)
app.command("train")(learning.train)
app.command("evaluate")(evaluate.evaluate)
app.command("detect")(detect.detect)
app.command("share")(share.share)
app.command("proposals")(votes.proposals)
app.command("approve")(votes.approve)
app.command("reject")(votes.reject)
app.command("sanitize")(sanitize.sanitize)
app.add_typer(keys.app, name="keys")
app.add_typer(privacy.app, name="privacy")
app.command("attest")(statements.attest)
app.command("verify-statement")(statements.verify_statements)
app.command("verify")(membership.verify)
app.command("status")(membership.status)
app.command("page")(page.page)
