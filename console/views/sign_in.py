"""Sign-in and sign-out."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access import devices, failed_sign_ins, throttle
from access.client_ip import client_address
from access.problems import Problem
from access.service_accounts import is_service
from access.sessions import agent_of


class SignInForm(AuthenticationForm):
    """Django's form, which refuses service accounts, even if one was given a password from a shell."""

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if is_service(user):
            raise self.get_invalid_login_error()


class SignIn(LoginView):
    """Django's view, with attempts counted before a password is checked."""

    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name, address = request.POST.get("username", ""), client_address(request)
        try:
            throttle.sign_in(name, address, devices.device_of(request, name))
        except Problem as problem:
            failed_sign_ins.count(name, address, agent_of(request), refused=True)
            # Not the posted form: rendering it would validate it, and check the password after all.
            form = SignInForm(request, initial={"username": name})
            response = render(request, self.template_name, {"form": form, "problem": problem}, status=problem.status)
            response.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
            for header, value in problem.headers.items():
                response[header] = value
            return response
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        name = self.request.POST.get("username", "")
        throttle.signed_in(name, client_address(self.request), devices.device_of(self.request, name))
        response = super().form_valid(form)
        devices.remember(self.request, response, name)
        return response


class SignOut(LogoutView):
    """By POST only, so that an image on another site cannot sign users out."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        # Not "cookies", which would clear those of every site on the domain; not "storage", which holds only display
        # preferences.
        response["Clear-Site-Data"] = '"cache"'
        return response
