"""The worker processes, and Celery's record of the tasks that woke them."""

from functools import partial

from django.http import HttpRequest, HttpResponse

from access.callers import Caller

from .. import csv_lists, tables
from ..queries import workers
from ..queries.paging import Page
from .decorators import page, query, render_list


@page(look="admin")
def worker_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the workers. `task`: the id of one task, as an operation's page links to it."""
    params = query(request, "task", "after")
    pages = partial(workers.tasks, params["task"])
    processes = workers.workers()
    if file := csv_lists.file(request, tables.WORKERS, lambda **_: Page(processes), caller):
        return file
    if file := csv_lists.file(request, tables.TASKS, pages, caller):
        return file
    context = {
        **params,
        "workers": processes,
        "deaf": any(process.without_broker for process in processes),
        "page": pages(params["after"]),
        "tab": "workers",
    }
    return render_list(request, "settings/workers.html", "settings/task_rows.html", context)
