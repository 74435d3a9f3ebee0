"""Who may see a page: staff whose role has the page's permission. Everybody else is sent to the log-in, or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponseBase

from flxdr.core.clock import SystemClock
from flxdr.core.errors import Missing

View = Callable[..., HttpResponseBase]
CLOCK = SystemClock()


def page(permission: str) -> Callable[[View], View]:
    """A view for staff with a permission such as `federation.view_traininground`.

    What a selector or a service reports as missing is a page that is not found.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return view(request, *args, **kwargs)
            except Missing as error:
                raise Http404(str(error)) from error

        permitted = permission_required(permission, raise_exception=True)(answered)
        return staff_member_required(permitted)

    return decorated
