"""The admin shows the budget and changes nothing of it: charges come from rounds, and only a signature gives back."""

from __future__ import annotations

from django.contrib import admin

from flxdr.platform.admin import ReadOnlyAdmin
from privacy.models import BudgetAccount, BudgetEntry


@admin.register(BudgetAccount)
class BudgetAccountAdmin(ReadOnlyAdmin):
    page = ("organizations:detail", "org_id")
    list_display = ("org_id",)
    search_fields = ("org_id",)


@admin.register(BudgetEntry)
class BudgetEntryAdmin(ReadOnlyAdmin):
    page = ("organizations:detail", "account_id")
    list_display = ("recorded_at", "account", "round_id", "kind", "mechanism", "sigma_ppm", "sensitivity_ppm")
    list_filter = ("kind", "mechanism")
    search_fields = ("round_id", "account__org_id")
    list_select_related = ("account",)
