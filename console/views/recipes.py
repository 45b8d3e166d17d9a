"""The page of a service's recipe: change it, and see the Dockerfile that it makes."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from integrations.docker import looking
from integrations.docker.looking import Look
from microservice import catalog
from microservice.catalog.service_recipes import dockerfile_of
from microservice.models import MicroService
from runtime.db_connections import release_connection

from ..forms.recipes import RecipeForm, shown
from ..queries import services
from .decorators import flash, page, post_data, redirect_to, require_scope
from .services import service_context


@page("admin", ("GET", "POST"), owners=True)
def recipe(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Show the recipe and its Dockerfile.

    Posted: save it (`do=save`), fill it in from what is in the base (`do=look`), or show the Dockerfile of what was
    typed.
    """
    service = services.service(caller, name)
    form = RecipeForm(post_data(request), initial=shown(service.recipe))
    text = dockerfile_of(service, service.recipe)
    if request.method == "POST":
        require_scope(caller, "admin", service)
        if form.is_valid():
            try:
                if request.POST.get("do") == "look":
                    require_scope(caller, "build", service)
                    look = _look(form.recipe().get("base", ""))
                    form = RecipeForm(initial=shown(look.recipe() | form.recipe()))
                    return _page(request, caller, service, form, text, look)
                text = dockerfile_of(service, form.recipe())
                if request.POST.get("do") == "save":
                    catalog.change_service(caller, service, {"recipe": form.recipe()} if form.changed() else {})
                    flash(request, _("The recipe was saved. The next build uses it."))
                    return redirect_to("recipe", service.name)
            except Problem as problem:
                form.add_problem(problem)
        else:
            form.add_errors_of_rest()
    return _page(request, caller, service, form, text)


def _page(
    request: HttpRequest, caller: Caller, service: MicroService, form: RecipeForm, text: str, look: Look | None = None
) -> HttpResponse:
    context = {
        **service_context(caller, service, "recipe"),
        "form": form,
        "dockerfile": text,
        "look": look,
        "may_build": caller.may("build", service.pk),
        "is_unsaved": request.method == "POST" and look is None,
    }
    return render(request, "service/recipe.html", context, status=422 if form.errors else 200)


def _look(base: str) -> Look:
    """Look at a base, and into it where the engine has it. Raise a Problem. Waits for registry and engine."""
    release_connection()
    try:
        return looking.look(base, with_tools=True, pointer="/recipe/base")
    except Problem as problem:
        if problem.code not in ("image_not_pulled", "not_configured"):
            raise
        look = looking.look(base, pointer="/recipe/base")
        return replace(look, pulled=False) if problem.code == "image_not_pulled" else look
