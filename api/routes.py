"""Finds the routers and makes URL patterns of them, each with and without a trailing slash."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path, re_path
from ninja import NinjaAPI, Router
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.openapi.urls import get_openapi_urls, get_root_url
from ninja.operation import Operation
from ninja.utils import normalize_path

from . import dispatch, errors, openapi, resources
from .auth import AUTH, needs_of
from .parsing import StrictParser


class Docs(Swagger):
    """The documentation page, with files of this server; ninja's own uses a CDN unless ninja is an installed app."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **names: Any) -> HttpResponse:
        shown = {"url": self.get_openapi_url(api, names), **self.settings}
        return render(request, self.template, {"swagger_settings": json.dumps(shown), "api": api, "add_csrf": True})


class Api(NinjaAPI):
    """NinjaAPI with discovered routers, one path for every request and one form for every error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(auth=AUTH, parser=StrictParser(), docs=Docs(), **options)
        self._discovered = False
        self._described: dict[str, OpenAPISchema] = {}

    def find_routers(self) -> None:
        """Mount every `router` in api/resources, below its module's `prefix` if there is one."""
        if self._discovered:
            return
        self._discovered = True
        for module in _resources():
            router = getattr(module, "router", None)
            if isinstance(router, Router):
                tag = module.__name__.rpartition(".")[2]
                self.add_router(getattr(module, "prefix", ""), router, tags=[tag])

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:  # an exception; ninja admits classes too
        return errors.from_exception(request, exc)

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """Build the document once in a process: it takes a second and never changes."""
        key = repr(sorted(options.items()))
        if key not in self._described:
            schema = super().get_openapi_schema(**options)
            self._described[key] = openapi.completed(schema, self.operations_by_route())
        return self._described[key]

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return f"{operation.view_func.__module__.rpartition('.')[2]}_{operation.view_func.__name__}"

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        self.find_routers()
        patterns = [path("docs/errors", errors.errors_page), path("docs/errors/", errors.errors_page)]
        for own in get_openapi_urls(self):
            patterns += [own, path(f"{own.pattern}/", own.callback)]
        routes = self.operations_by_route()
        for route in sorted(routes, key=_literal_first):
            view = _view(routes[route])
            patterns += [path(route, view), path(f"{route}/", view)]
        return [*patterns, get_root_url(self), re_path(r"^.*$", errors.no_such_path)]

    def operations_by_route(self) -> dict[str, dict[str, Operation]]:
        """Return {"services/<service>": {"GET": operation, …}} of all routers, without trailing slashes."""
        self.find_routers()
        routes: dict[str, dict[str, Operation]] = {}
        shapes: dict[str, str] = {}
        for bound in self._get_bound_routers():
            for part, view in bound.path_operations.items():
                route = normalize_path(f"/{bound.prefix}/{part}").strip("/").replace("{", "<").replace("}", ">")
                shape = re.sub(r"<[^<>]*>", "<>", route)
                if shapes.setdefault(shape, route) != route:
                    raise ImproperlyConfigured(
                        f"one path with two names for its parameters: {shapes[shape]} and {route}"
                    )
                for operation in view.operations:
                    needs_of(operation.view_func)  # raises where an endpoint does not declare its scope
                    routes.setdefault(route, {}).update(dict.fromkeys(operation.methods, operation))
        return routes


def _resources() -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(resources.__path__):
        yield importlib.import_module(f"{resources.__name__}.{info.name}")


def _literal_first(route: str) -> list[tuple[int, str]]:
    """Sort `versions/<id>/package` before `versions/<id>/<action>`, whatever the order of the modules."""
    return [
        (2 if part.startswith("<") and ":" not in part else 1 if "<" in part else 0, part) for part in route.split("/")
    ]


def _view(operations: dict[str, Operation]) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, **names: Any) -> HttpResponseBase:
        return dispatch.enter(request, operations, names)

    view.csrf_exempt = True  # type: ignore[attr-defined]  # sessions are checked in access/authentication.py
    return view
