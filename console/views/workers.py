"""The worker processes, and Celery's record of the tasks that woke them."""

from django.http import HttpRequest, HttpResponse

from access.callers import Caller

from ..queries import workers
from .decorators import page, query, render_list


@page(look="admin")
def worker_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the workers. `task`: the id of one task, as an operation's page links to it."""
    params = query(request, "task", "after")
    processes = workers.workers()
    context = {
        **params,
        "workers": processes,
        "deaf": any(process.without_broker for process in processes),
        "page": workers.tasks(**params),
        "tab": "workers",
    }
    return render_list(request, "settings/workers.html", "settings/task_rows.html", context)
