"""The page of a service's recipe: change it, and see the Dockerfile that it makes."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from microservice import catalog
from microservice.catalog.service_recipes import dockerfile_of

from ..forms.recipes import RecipeForm, shown
from ..queries import services
from .decorators import flash, page, post_data, redirect_to, require_scope
from .services import service_context


@page("admin", ("GET", "POST"), owners=True)
def recipe(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Show the recipe and its Dockerfile. Posted: save it (`do=save`), or show the Dockerfile of what was typed."""
    service = services.service(caller, name)
    form = RecipeForm(post_data(request), initial=shown(service.recipe))
    text = dockerfile_of(service, service.recipe)
    if request.method == "POST":
        require_scope(caller, "admin", service)
        if form.is_valid():
            try:
                text = dockerfile_of(service, form.recipe())
                if request.POST.get("do") == "save":
                    catalog.change_service(caller, service, {"recipe": form.recipe()} if form.changed() else {})
                    flash(request, _("The recipe was saved. The next build uses it."))
                    return redirect_to("recipe", service.name)
            except Problem as problem:
                form.add_problem(problem)
    context = {
        **service_context(caller, service, "recipe"),
        "form": form,
        "dockerfile": text,
        "may_build": caller.may("build", service.pk),
        "is_unsaved": request.method == "POST",
    }
    return render(request, "service/recipe.html", context, status=422 if form.errors else 200)
