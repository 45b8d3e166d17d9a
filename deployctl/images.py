"""Commands for images."""

from __future__ import annotations

import argparse
from typing import Any

from .cli import argument, command
from .context import Context


@command(
    "images check",
    argument("image", help="Such as registry.example.com/base/python:3."),
    argument("--tools", action="store_true", help="Also say which tools are in it; the engine must have it."),
)
def check(context: Context, arguments: argparse.Namespace) -> None:
    """Show what IMAGE means now: its digest, size and platforms."""
    found = context.client.post("/images/check", {"image": arguments.image, "tools": arguments.tools})
    context.show(found, "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    size = "" if found["size"] is None else f"  {found['size']} bytes"
    lines = [found["pinned"] + size, *(f"  {platform['name']}" for platform in found["platforms"])]
    for name, tool in (found["tools"] or {}).items():
        lines.append(f"  {name}: {tool['version']} {tool['path']}" if tool else f"  {name}: none")
    return lines
