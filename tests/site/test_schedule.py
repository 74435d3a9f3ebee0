"""What the beat sends: tasks that the worker knows, and that lapse before the next ones are sent."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from flxdr.celery import app


@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_an_entry_names_a_task_and_lapses(name: str) -> None:
    app.loader.import_default_modules()
    entry: Any = settings.CELERY_BEAT_SCHEDULE[name]
    assert entry["task"] in current_app.tasks
    assert 0 < entry["options"]["expires"] <= entry["schedule"]
