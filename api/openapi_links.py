"""Links in the OpenAPI document: from what a response created to the operations on it."""

import re
from typing import Any

DEPLOYMENT = "#/components/schemas/DeploymentOut"
OF_A_DEPLOYMENT = "/api/v1/deployments/{id}"


def add(paths: dict[str, dict[str, Any]]) -> None:
    """Link the POST of each list to the operations on a row, and each 202 to those on its deployment, in place."""
    known = {path.rstrip("/"): methods for path, methods in paths.items()}
    for path, methods in known.items():
        answers = methods.get("post", {}).get("responses", {})
        for status, row_path in (("201", _row_of(known, path)), ("202", OF_A_DEPLOYMENT)):
            if row_path and status in answers and (status == "201" or _schema(answers[status]) == DEPLOYMENT):
                answers[status]["links"] = _links(known, path, row_path)


def _row_of(known: dict[str, dict[str, Any]], path: str) -> str:
    """Return the path of a row of the list at `path`; "" where its id alone does not lead to it."""
    return next((row for name in ("id", "service") if (row := f"{path}/{{{name}}}") in known), "")


def _links(known: dict[str, dict[str, Any]], path: str, row: str) -> dict[str, Any]:
    parameters = {name: f"$request.path.{name}" for name in re.findall(r"{(\w+)}", path) if row.startswith(path)}
    parameters[re.findall(r"{(\w+)}", row)[-1]] = "$response.body#/id"
    below = [other for other in known if f"{other}/".startswith(f"{row}/") and other.count("{") == len(parameters)]
    return {
        operation["operationId"]: {"operationId": operation["operationId"], "parameters": parameters}
        for other in below
        for operation in known[other].values()
        if "text/event-stream" not in operation["responses"].get("200", {}).get("content", {})
    }


def _schema(answer: dict[str, Any]) -> str:
    return answer["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
