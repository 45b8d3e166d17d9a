"""Where a refusal of a button is shown; see console/refusals.py."""

from typing import Any

from django import template
from django.template import Context, NodeList
from django.template.base import Parser, Token
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from .. import refusals

register = template.Library()


@register.simple_tag(takes_context=True)
def refusal(context: Context, address: str, **fields: Any) -> SafeString:
    """Render what was just refused, at the button that posts to the address with these fields; else nothing."""
    request = context.get("request")
    kept = refusals.kept(request)
    posted = kept.get("fields", {})
    if not kept or kept["address"] != address or any(posted.get(name, "") != str(one) for name, one in fields.items()):
        return SafeString()
    request.refusal_is_shown = True  # type: ignore[union-attr]
    return render_to_string("refused_button.html", {"refused": kept, "at": _selector(address, fields)})


def _selector(address: str, fields: dict[str, Any]) -> str:
    """Return a CSS selector of the form or button, beside which static/js/live.js keeps the refusal."""
    having = "".join(f":has([name={name}][value={_quoted(str(one))}])" for name, one in fields.items())
    return f"[action={_quoted(address)}]{having},[formaction={_quoted(address)}]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class RefusalsNode(template.Node):
    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        content = self.nodelist.render(context)
        request = context.get("request")
        kept = refusals.kept(request)
        if not kept:
            return content
        del request.session[refusals.KEY]  # type: ignore[union-attr]
        if getattr(request, "refusal_is_shown", False):
            return content
        return SafeString(render_to_string("refused_button.html", {"refused": kept}) + content)


@register.tag("refusals")
def refusals_above(parser: Parser, token: Token) -> RefusalsNode:
    """Render the content of a page, and above it what was just refused, if nothing in it shows that."""
    nodelist = parser.parse(("endrefusals",))
    parser.delete_first_token()
    return RefusalsNode(nodelist)
