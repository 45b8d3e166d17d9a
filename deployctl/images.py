"""Commands for images."""

from typing import Any

import click

from .context import Context


@click.group()
def images() -> None:
    """Look into images."""


@images.command("check")
@click.argument("image")
@click.option("--tools", is_flag=True, help="Also say which tools are in it; the engine must have it.")
@click.pass_obj
def check(context: Context, image: str, tools: bool) -> None:
    """Show what IMAGE means now: its digest, size and platforms."""
    found = context.client.post("/images/check", {"image": image, "tools": tools})
    context.show(found, "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    size = "" if found["size"] is None else f"  {found['size']} bytes"
    lines = [found["pinned"] + size, *(f"  {platform['name']}" for platform in found["platforms"])]
    for name, tool in (found["tools"] or {}).items():
        lines.append(f"  {name}: {tool['version']} {tool['path']}" if tool else f"  {name}: none")
    return lines
