"""Signing in and out."""

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
    """Django's own, which lets no service account in, whatever password somebody has given it from a shell."""

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if is_service(user):
            raise self.get_invalid_login_error()


class SignIn(LoginView):
    """Django's own sign-in, with guesses counted before a password is looked at."""

    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        name, address = request.POST.get("username", ""), client_address(request)
        try:
            throttle.sign_in(name, address, devices.device_of(request, name))
        except Problem as problem:
            failed_sign_ins.note(name, address, agent_of(request), refused=True)
            # Not the form that was sent: the template would have it validated, and the password looked at after all.
            form = SignInForm(request, initial={"username": name})
            answer = render(request, self.template_name, {"form": form, "problem": problem}, status=problem.status)
            answer.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
            for header, value in problem.headers.items():
                answer[header] = value
            return answer
        return super().post(request, *args, **kwargs)

    def form_valid(self, form) -> HttpResponse:
        name = self.request.POST.get("username", "")
        throttle.signed_in(name, client_address(self.request), devices.device_of(self.request, name))
        response = super().form_valid(form)
        devices.remember(self.request, response, name)
        return response


class SignOut(LogoutView):
    """By POST only, so that no picture on another page signs anybody out."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        answer = super().post(request, *args, **kwargs)
        # Not "cookies", which would take those of every other site of the same domain as well; and not "storage", which
        # holds nothing but how this browser's readers like their pages.
        answer["Clear-Site-Data"] = '"cache"'
        return answer
