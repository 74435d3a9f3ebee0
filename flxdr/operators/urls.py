"""Routes of an operator's own account."""

from __future__ import annotations

from django.urls import path

from flxdr.operators import views
from flxdr.operators.sso.provider import CALLBACK
from flxdr.operators.sso.views import BeginView, CallbackView

urlpatterns = [
    path("account/sso", BeginView.as_view(), name="sso"),
    path("account/sso/callback", CallbackView.as_view(), name=CALLBACK),
    path("account/two-factor", views.two_factor, name="two-factor"),
    path("account/two-factor/enrol", views.enrol, name="two-factor-enrol"),
    path("account/two-factor/check", views.check, name="two-factor-check"),
    path("account/two-factor/recovery-codes", views.renew, name="two-factor-recovery-codes"),
    path("account/two-factor/remove", views.remove, name="two-factor-remove"),
]
