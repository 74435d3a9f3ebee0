"""Migrations run while the version before still serves: what each one does to it is known, and was read by somebody."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.core.management import call_command

from tests.deploy.migrating import Step
from tests.support.processes import REPOSITORY, clean_environment
from tests.support.services import postgres_database

ROWS_CANNOT_BE_INSERTED = "adds {}, without which the version before can insert no row"
INDEX = "builds the index {} on {} while its writers wait"
CHECK = "checks all of {} for a constraint while its writers wait"
TRIGGER = "runs code"
# Read and let through. All of these are older than the first release, so no coordinator in service ran without them.
# Their code makes triggers; in the ledger 0003_tree also computes the tree's nodes, in batches, and 0004_governance
# reads the governance blocks, which are few. What comes later stands here only with the reason why it may:
# docs/upgrading.md has the rules.
REVIEWED = {
    "federation.0002_optimizer_state": [
        ROWS_CANNOT_BE_INSERTED.format("federation_organization.rejected_count"),
        ROWS_CANNOT_BE_INSERTED.format("federation_modelversion.optimizer_state_digest"),
    ],
    "federation.0004_keys_and_withdrawals": [
        CHECK.format("federation_modelversion"),
        CHECK.format("federation_organization"),
        CHECK.format("federation_organization"),
    ],
    "federation.0006_masked_rounds": [
        ROWS_CANNOT_BE_INSERTED.format("federation_traininground.opening_digest"),
        ROWS_CANNOT_BE_INSERTED.format("federation_traininground.step"),
        ROWS_CANNOT_BE_INSERTED.format("federation_traininground.sum_digest"),
    ],
    "federation.0007_shared_detections": [TRIGGER],
    "federation.0009_detection_reviews": [
        INDEX.format("detections_of_a_family", "federation_shareddetection"),
        INDEX.format("detections_of_a_period", "federation_shareddetection"),
        TRIGGER,
    ],
    "federation.0010_overview_indexes": [
        INDEX.format("versions_by_status", "federation_modelversion"),
        INDEX.format("rounds_by_status", "federation_traininground"),
    ],
    "federation.0011_detection_lists": [
        INDEX.format("detections_by_family", "federation_shareddetection"),
        INDEX.format("detections_of_a_score", "federation_shareddetection"),
    ],
    "ledger.0002_append_only": [TRIGGER],
    "ledger.0003_tree": [TRIGGER, TRIGGER],
    "ledger.0004_governance": [TRIGGER],
    "ledger.0005_late_approvals": [TRIGGER],
    "ledger.0006_proposal_subject": [INDEX.format("one_waiting_proposal_per_subject", "ledger_proposal"), TRIGGER],
    "ledger.0008_witnesses": [TRIGGER],
    "ledger.0009_release_statements": [TRIGGER],
    "ledger.0010_block_filters": [
        INDEX.format("blocks_type_height", "blocks"),
        INDEX.format("blocks_timestamp", "blocks"),
    ],
    "ledger.0011_blocks_by_model": [INDEX.format("blocks_model_name_height", "blocks")],
    "ledger.0012_proposal_status": [INDEX.format("proposals_status", "ledger_proposal")],
    "platform.0002_audit_append_only": [TRIGGER],
    "platform.0003_audit_actors_and_export": [
        "rewrites or reads all of platform_auditevent while everybody waits",
        TRIGGER,
        TRIGGER,
    ],
    "platform.0004_audit_filters": [
        INDEX.format("audit_at", "platform_auditevent"),
        INDEX.format("audit_actor", "platform_auditevent"),
    ],
    "platform.0006_telemetry_streams": [CHECK.format("platform_outboxevent")],
    "privacy.0002_append_only": [TRIGGER],
    "privacy.0003_sampled_releases": [
        ROWS_CANNOT_BE_INSERTED.format("privacy_budgetentry.sampling_ppm"),
        ROWS_CANNOT_BE_INSERTED.format("privacy_budgetentry.steps"),
        CHECK.format("privacy_budgetentry"),
        CHECK.format("privacy_budgetentry"),
        TRIGGER,
        TRIGGER,
    ],
}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    folder = tmp_path_factory.mktemp("migrations")
    with postgres_database(folder / "services") as url:
        settings = {"DATABASE_URL": url, "FL_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "flxdr.settings"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.deploy.migrating"],
            env=clean_environment(settings),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return [Step(*step) for step in json.loads(done.stdout)]


def test_what_migrations_do_to_a_live_system_was_read(steps: list[Step]) -> None:
    assert {step.id: step.hazards() for step in steps if step.hazards()} == REVIEWED


@pytest.mark.django_db
def test_no_model_waits_for_a_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize(
    ("statement", "hazard"),
    [
        ('CREATE INDEX "i" ON "t" ("a");', "builds the index i on t while its writers wait"),
        ('CREATE UNIQUE INDEX "i" ON "t" ("a");', "builds the index i on t while its writers wait"),
        ('CREATE INDEX CONCURRENTLY "i" ON "t" ("a");', None),
        ('ALTER TABLE "t" ADD COLUMN "a" integer NULL;', None),
        ('ALTER TABLE "t" ADD COLUMN "a" integer DEFAULT 0 NOT NULL;', None),
        ('ALTER TABLE "t" ADD COLUMN "a" integer NOT NULL;', "adds t.a, without which"),
        ('ALTER TABLE "t" DROP COLUMN "a" CASCADE;', "drops or renames in t"),
        ('ALTER TABLE "t" RENAME TO "u";', "drops or renames in t"),
        ('ALTER TABLE "t" ALTER COLUMN "a" TYPE bigint USING "a"::bigint;', "rewrites or reads all of t"),
        ('ALTER TABLE "t" ALTER COLUMN "a" SET NOT NULL;', "rewrites or reads all of t"),
        ('ALTER TABLE "t" ALTER COLUMN "a" DROP NOT NULL;', None),
        ('ALTER TABLE "t" ADD CONSTRAINT "c" CHECK ("a" > 0);', "checks all of t"),
        ('ALTER TABLE "t" ADD CONSTRAINT "c" CHECK ("a" > 0) NOT VALID;', None),
        ('ALTER TABLE "t" DROP CONSTRAINT "c";', None),
        ('DROP TABLE "t" CASCADE;', "drops t"),
    ],
)
def test_a_hazard_is_found_and_nothing_else(statement: str, hazard: str | None) -> None:
    found = Step("app", "0001", [statement], []).hazards()
    assert found[0].startswith(hazard) if hazard else not found, found
    with_its_table = Step("app", "0001", ['CREATE TABLE "t" ("a" integer);', statement], [])
    assert with_its_table.hazards() == [] or hazard == "drops t"


def test_a_default_that_django_takes_back_does_not_count() -> None:
    added = 'ALTER TABLE "t" ADD COLUMN "a" integer DEFAULT 0 NOT NULL;'
    taken_back = 'ALTER TABLE "t" ALTER COLUMN "a" DROP DEFAULT;'
    assert len(Step("app", "0001", [added, taken_back], []).hazards()) == 1


def test_code_in_a_migration_is_named() -> None:
    assert Step("app", "0001", [], [True, False]).hazards() == ["runs code", "runs code that cannot be undone"]
