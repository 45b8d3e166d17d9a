"""Signing in and out."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access import devices, throttle
from access.address import client_address
from access.problems import Problem


class SignIn(LoginView):
    """Django's own sign-in, with guesses counted before a password is looked at."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        name = request.POST.get("username", "")
        try:
            throttle.sign_in(name, client_address(request), devices.device_of(request, name))
        except Problem as problem:
            answer = render(
                request, self.template_name, {"form": self.get_form(), "problem": problem}, status=problem.status
            )
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
