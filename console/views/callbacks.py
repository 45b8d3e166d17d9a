"""Callbacks: signed webhooks, their deliveries, and a test delivery."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import refused
from callbacks import redelivery, signing, subscriptions
from callbacks.models import Callback, EventType

from .. import csv_lists, refusals, tables
from ..forms.callbacks import CallbackForm
from ..queries import callbacks
from ..queries.paging import Page
from .decorators import errors_on, flash, page, post_data, query, redirect_to, render_list


@page(look="admin")
def callback_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    if file := csv_lists.file(request, tables.CALLBACKS, lambda **_: Page(callbacks.callbacks()), caller):
        return file
    if file := csv_lists.file(request, tables.BUILD_CALLBACKS, callbacks.of_requests, caller):
        return file
    context = {
        "callbacks": callbacks.callbacks(),
        "page": callbacks.of_requests(query(request, "after")["after"]),
        "tab": "callbacks",
    }
    return render_list(request, "callbacks/list.html", "callbacks/build_rows.html", context)


@page("admin", ("GET", "POST"), look="admin")
def callback_new(request: HttpRequest, caller: Caller) -> HttpResponse:
    form = CallbackForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            row, secret = subscriptions.create(caller, form.values())
            return _page(request, callbacks.callback(row.pk), secret=secret)
    context = {"form": form, "title": _("Add a callback"), "tab": "callbacks"}
    return render(request, "callbacks/edit.html", context, status=422 if form.errors else 200)


@page("admin", ("GET", "POST"), look="admin")
def callback_edit(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    row = callbacks.callback(number)
    if row.request:
        refusals.keep(request, refused("callback_of_request"))
        return redirect_to("callback", number)
    before = {"url": row.url, "events": row.events, "active": row.active}
    form = CallbackForm(post_data(request), initial=before, saved=True)
    if request.method == "POST" and form.is_valid():
        values = form.values()
        generates_secret = form.cleaned_data["new_secret"] and "secret" not in values
        if generates_secret:
            values["secret"] = signing.new_secret()
        with errors_on(form):
            subscriptions.change(caller, row, values)
            if generates_secret:
                return _page(request, callbacks.callback(number), secret=values["secret"])
            flash(request, _("{url} was saved.").format(url=row.url))
            return redirect_to("callback", number)
        row = callbacks.callback(number)
    context = {"form": form, "saved": row, "title": _("Edit a callback"), "tab": "callbacks"}
    return render(request, "callbacks/edit.html", context, status=422 if form.errors else 200)


@page(look="admin")
def callback_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    row = callbacks.callback(number)
    if file := csv_lists.file(
        request, tables.DELIVERIES, partial(callbacks.deliveries, row), caller, f"callback-{row.pk}"
    ):
        return file
    return _page(request, row)


@page("admin", ("POST",), back=("callback", "number"))
def callback_test(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Send a message now and show request and response; at most 10 s."""
    return _page(request, callbacks.callback(number), tried=redelivery.send_test(subscriptions.find(number)))


@page("admin", ("POST",), back=("callback", "number"))
def callback_delete(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    row = subscriptions.find(number)
    subscriptions.delete(caller, row)
    flash(request, _("{url} was deleted.").format(url=row.url))
    return redirect_to("callbacks")


@page("admin", ("POST",), back=("callback", "number"))
def redeliver(request: HttpRequest, caller: Caller, number: int, delivery: int) -> HttpResponse:
    redelivery.redeliver(caller, callbacks.delivery(subscriptions.find(number), delivery))
    flash(request, _("Sending again, with retries for up to 24 hours."))
    return redirect_to("callback", number)


def _page(request: HttpRequest, row: Callback, **more: Any) -> HttpResponse:
    after = query(request, "after")["after"]
    context = {
        "callback": row,
        "page": callbacks.deliveries(row, after),
        "tab": "callbacks",
        "events": [event.label for event in EventType if event in row.events],
        **more,
    }
    return render_list(request, "callbacks/page.html", "callbacks/delivery_rows.html", context)
