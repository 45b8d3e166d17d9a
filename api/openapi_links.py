"""Links in the API's description (OpenAPI 3.1): from what an answer made to the addresses that take it."""

import re
from typing import Any

DEPLOYMENT = "#/components/schemas/DeploymentOut"
OF_A_DEPLOYMENT = "/api/v1/deployments/{id}"


def add(paths: dict[str, dict[str, Any]]) -> None:
    """In place: every list's POST is linked with the addresses of one of its rows, every 202 with its deployment's."""
    known = {path.rstrip("/"): methods for path, methods in paths.items()}
    for path, methods in known.items():
        answers = methods.get("post", {}).get("responses", {})
        for status, one in (("201", _row_of(known, path)), ("202", OF_A_DEPLOYMENT)):
            if one and status in answers and (status == "201" or _schema(answers[status]) == DEPLOYMENT):
                answers[status]["links"] = _links(known, path, one)


def _row_of(known: dict[str, dict[str, Any]], path: str) -> str:
    """The address of one row of the list at `path`; empty where it is not found by its id alone."""
    return next((one for name in ("id", "service") if (one := f"{path}/{{{name}}}") in known), "")


def _links(known: dict[str, dict[str, Any]], path: str, row: str) -> dict[str, Any]:
    parameters = {name: f"$request.path.{name}" for name in re.findall(r"{(\w+)}", path) if row.startswith(path)}
    parameters[re.findall(r"{(\w+)}", row)[-1]] = "$response.body#/id"
    below = [one for one in known if f"{one}/".startswith(f"{row}/") and one.count("{") == len(parameters)]
    return {
        told["operationId"]: {"operationId": told["operationId"], "parameters": parameters}
        for one in below
        for told in known[one].values()
        if "text/event-stream" not in told["responses"].get("200", {}).get("content", {})
    }


def _schema(answer: dict[str, Any]) -> str:
    return answer["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
