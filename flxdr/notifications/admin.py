"""Notifications in the admin: to read. They open and close by what holds, not by hand."""

from __future__ import annotations

from django.contrib import admin

from flxdr.notifications.models import Delivery, LastReview, Notification
from flxdr.platform.admin import ReadOnlyAdmin


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    page = ("notifications:index",)
    list_display = ("opened_at", "severity", "text", "closed_at")
    list_filter = ("severity", "kind", ("closed_at", admin.EmptyFieldListFilter), "opened_at")
    search_fields = ("kind", "subject")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("notification", "news", "channel", "created_at", "sent_at", "attempts", "last_error")
    list_filter = ("channel", "news", ("sent_at", admin.EmptyFieldListFilter))
    list_select_related = ("notification",)
    exclude = ("token",)


@admin.register(LastReview)
class LastReviewAdmin(ReadOnlyAdmin):
    list_display = ("at",)
