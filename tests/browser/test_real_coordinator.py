"""What an operator sees of a coordinator that goes away and comes back, and of a database that somebody changed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.signing_in import PASSWORD
from tests.support.browser import Witness
from tests.support.processes import REPOSITORY, Coordinator


def test_a_restart_is_survived_and_a_changed_block_turns_red(page: Page, tmp_path: Path, witness: Witness) -> None:
    with Coordinator(tmp_path / "coordinator") as coordinator:
        subprocess.run(
            [
                sys.executable,
                str(REPOSITORY / "manage.py"),
                *("create_operator", "operator", "--role", "operator", "--password-stdin"),
            ],
            env=coordinator.environment,
            input=PASSWORD,
            text=True,
            check=True,
            capture_output=True,
        )
        page.goto(f"{coordinator.url}/")
        page.get_by_label("Username").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        live = page.locator("[data-refresh-status]")
        expect(live).to_have_text("live", timeout=20_000)
        page.get_by_role("button", name="Verify the whole chain now").click()
        expect(page.locator("main")).to_contain_text("the only block verified", timeout=20_000)
        expect(live).to_have_text("live", timeout=20_000)
        assert witness.complaints == []

        coordinator.stop()
        expect(live).to_contain_text("stale", timeout=20_000)
        coordinator.start()
        coordinator.wait_ready()
        expect(live).to_have_text("live", timeout=60_000)

        _change_a_block(coordinator.data_dir)
        page.goto(f"{coordinator.url}/ledger/")
        page.get_by_role("button", name="Verify the whole chain now").click()
        page.goto(f"{coordinator.url}/ledger/")
        bad = page.locator(".badge.bad").first
        expect(bad).to_contain_text(re.compile(r"block 0", re.IGNORECASE))


def _change_a_block(data_dir: Path) -> None:
    """As somebody with the database's file would."""
    (file,) = data_dir.glob("fl_blockchain.db")
    database = sqlite3.connect(file)
    with database:
        database.execute("DROP TRIGGER blocks_append_only")
        database.execute("UPDATE blocks SET header = X'7b7d' WHERE height = 0")
    database.close()
