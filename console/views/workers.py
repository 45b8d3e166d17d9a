"""The worker processes, and what Celery notes of the tasks that woke them."""

from django.http import HttpRequest, HttpResponse

from access.callers import Caller

from ..queries import workers as found
from .decorators import page, query, render_list


@page(look="admin")
def workers(request: HttpRequest, caller: Caller) -> HttpResponse:
    """`task`: one task's id, as an operation's page links to it."""
    asked = query(request, "task", "after")
    seen = found.workers()
    context = {
        **asked,
        "workers": seen,
        "deaf": any(one.without_broker for one in seen),
        "page": found.tasks(**asked),
        "tab": "workers",
    }
    return render_list(request, "settings/workers.html", "settings/task_rows.html", context)
