"""Hints to the workers: tasks by name, after the commit.

The rows say what is due; a hint that gets lost (broker down, process killed between commit and send) costs only the
time until the next reconcile. So a failure to send is logged and never fails the request whose work is committed.
"""

from __future__ import annotations

from celery import current_app
from django.db import transaction

AGGREGATE_ROUND = "federation.tasks.aggregate_round"
AGGREGATE_SHARD = "federation.tasks.aggregate_shard"
ADVANCE_CAMPAIGN = "federation.tasks.advance_campaign"


def enqueue(task: str, **kwargs: str | int) -> None:
    """Send the task once the current transaction (if any) is committed."""

    def send() -> None:  # a function: Django cannot log the failure of a `partial`, and raises instead
        current_app.send_task(task, kwargs=kwargs)

    transaction.on_commit(send, robust=True)
