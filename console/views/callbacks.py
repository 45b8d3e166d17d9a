"""Who is told of what happens, what became of each message, and trying it out."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from callbacks import redelivery, signing, subscriptions
from callbacks.models import Callback, EventType

from ..forms.callbacks import CallbackForm
from ..queries import callbacks as told
from .decorators import errors_on, flash, flash_problem, page, post_data, query, redirect_to, render_list


@page(look="admin")
def callbacks(request: HttpRequest, caller: Caller) -> HttpResponse:
    return render(request, "callbacks/list.html", {"callbacks": told.callbacks(), "tab": "callbacks"})


@page("admin", ("GET", "POST"), look="admin")
def callback_new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = CallbackForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            made, secret = subscriptions.create(caller, form.values())
            return _page(request, told.callback(made.pk), secret=secret)
    context = {"form": form, "tab": "callbacks"}
    return render(request, "callbacks/edit.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def callback_edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    row = told.callback(number)
    before = {"url": row.url, "events": row.events, "active": row.active}
    form = CallbackForm(post_data(request), initial=before, saved=True)
    if request.method == "POST" and form.is_valid():
        values = form.values()
        made = form.cleaned_data["new_secret"] and "secret" not in values
        if made:
            values["secret"] = signing.new_secret()
        with errors_on(form):
            subscriptions.change(caller, row, values)
            if made:
                return _page(request, told.callback(number), secret=values["secret"])
            flash(request, _("{url} was saved.").format(url=row.url))
            return redirect_to("callback", number)
        row = told.callback(number)
    context = {"form": form, "callback": row, "tab": "callbacks"}
    return render(request, "callbacks/edit.html", context, status=422 if form.errors else 200)


@page(look="admin")
def callback(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    return _page(request, told.callback(number))


@page("admin", ("POST",))
def callback_test(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Sends the newest message now and shows both sides; at most 10 s."""
    return _page(request, told.callback(number), tried=redelivery.send_test(subscriptions.find(number)))


@page("admin", ("POST",))
def callback_delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    row = subscriptions.find(number)
    subscriptions.delete(caller, row)
    flash(request, _("{url} is told nothing any more.").format(url=row.url))
    return redirect_to("callbacks")


@page("admin", ("POST",))
def redeliver(request: HttpRequest, caller: Caller, number: int, delivery: int) -> HttpResponse:
    try:
        redelivery.redeliver(caller, told.delivery(subscriptions.find(number), delivery))
        flash(request, _("It is sent again, until it arrives or a day has passed."))
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("callback", number)


def _page(request: HttpRequest, row: Callback, **more) -> HttpResponse:
    after = query(request, "after")["after"]
    context = {
        "callback": row,
        "page": told.deliveries(row, after),
        "tab": "callbacks",
        "events": [event.label for event in EventType if event in row.events],
        **more,
    }
    return render_list(request, "callbacks/page.html", "callbacks/delivery_rows.html", context)
