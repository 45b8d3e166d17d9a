"""Many hosts at once, from JSON or CSV: all of them, or none and every reason why, row by row."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import Problem, conflict
from audit import history

from . import hosts, tenancy, validation
from .models import Asset, Credential, HostTeam

MOST_ROWS = 5000
MOST_ERRORS = 100  # named in one answer
# What a row may hold: credential and jump host by name too.
FIELDS = [name.removesuffix("_id") for name in validation.FIELDS]
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Row(dict):
    """A row's fields, and the line of the file that it begins on."""

    def __init__(self, fields: Mapping[str, Any], line: int):
        super().__init__(fields)
        self.line = line


@dataclass
class Checked:
    """Rows that may be imported: what is new, with the ids of each one's teams, and which are there as they are."""

    new: list[dict[str, Any]]
    teams: list[list[int]]
    unchanged: list[str]  # host names


def import_many(caller: Caller, rows: list[Any]) -> list[Asset]:
    """Creates a host for each row of fields that is not there yet: all of them, or none; see `check_many`."""
    return create(caller, check_many(rows))


def check_many(rows: list[Any]) -> Checked:
    """Everything that can be told before anything is created. 422 with a pointer for each wrong value (/3/ip is that of
    row 3, from 0), and the line where the rows came from a file.

    A row whose host is there with the same fields is no error, so that a file can be imported again. A credential and a
    jump host are named by `credential_id` and `jump_host_id`, or by name as `credential` and `jump_host`; a jump host
    must be there already. The number of queries does not grow with the number of rows.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise _refused({"": f"must hold 1 to {MOST_ROWS} hosts"})
    wrong: dict[str, str] = {}
    named = _named(rows, wrong)
    clean = [_checked(number, row, wrong) for number, row in enumerate(named)]
    teams = tenancy.teams_of(clean)
    for number, missing in enumerate(hosts.missing_references(clean, teams)):
        wrong |= {f"/{number}/{name}": reason for name, reason in missing.items()}
    bad = {int(pointer.split("/")[1]) for pointer in wrong}
    there = _there([str(row.get("hostname", "")) for row in clean])
    taken, unchanged = _taken(clean, there, teams, bad)
    wrong |= taken
    if wrong:
        raise _refused(wrong, rows)
    new = [row for row in clean if row["hostname"] not in unchanged]
    hosts.check_new_jumps({row["jump_host_id"] for row in new if row.get("jump_host_id")})
    return Checked(new, [[teams[which] for which in row.pop("teams", ())] for row in new], sorted(unchanged))


def _named(rows: list[Any], wrong: dict[str, str]) -> list[Any]:
    """The rows with ids in the place of names of credentials and jump hosts. Two queries, where any is named."""
    models: tuple[tuple[str, type[Credential | Asset], str], ...] = (
        ("credential", Credential, "name"),
        ("jump_host", Asset, "hostname"),
    )
    rows = [Row(row, getattr(row, "line", 0)) if isinstance(row, dict) else row for row in rows]
    for column, model, field in models:
        if not any(isinstance(row, dict) and column in row for row in rows):
            continue
        wanted = {row[column] for row in rows if isinstance(row, dict) and _nameable(row.get(column))}
        found = dict(model.objects.filter(**{f"{field}__in": wanted}).values_list(field, "pk"))
        for number, row in enumerate(rows):
            if isinstance(row, dict) and column in row:
                name = row.pop(column)
                if not _nameable(name) or name not in found:
                    wrong[f"/{number}/{column}"] = f"there is no such {column.replace('_', ' ')}"
                elif f"{column}_id" in row:
                    wrong[f"/{number}/{column}"] = f"goes with no {column}_id beside it"
                else:
                    row[f"{column}_id"] = found[name]
    return rows


def from_csv(text: str) -> list[dict[str, Any]]:
    """Rows of a CSV text whose first line names the fields. An empty cell leaves its field out.

    `sudo` and `legacy_algorithms` are one of 1, true, yes, on or their opposites; `labels` is `name=text;name=text`,
    `teams` are names between semicolons, `credential` and `jump_host` names.
    """
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows, line = [], 0
        for row in reader:
            rows.append((row, line + 1 if line else 2))  # a cell may hold new lines: the line that the row begins on
            line = reader.line_num
    except csv.Error as error:
        raise _refused({"": f"is not CSV: {error}"}) from error
    if not reader.fieldnames or len(set(reader.fieldnames)) != len(reader.fieldnames):
        raise _refused({"": "the first line must name each column once"})
    return [Row(_from_cells(row), line) for row, line in rows]


def from_json(text: bytes) -> list[Any]:
    """Rows of a JSON list, or of an object that holds the list as `hosts`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not_json", "The body is not JSON.") from error
    value = value.get("hosts") if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise _refused({"": "must be a list of hosts"})
    return value


def _from_cells(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A cell is a text; what cannot be read as its field's type stays one, and is refused by the field's rule."""
    if None in row:
        return {"row": "has more cells than the first line"}
    cells: dict[str, Any] = {str(name).strip(): text.strip() for name, text in row.items() if text and text.strip()}
    for name in ("port", "credential_id", "jump_host_id", "package_port"):
        if (text := cells.get(name, "")).isascii() and text.isdigit() and len(text) < 19:
            cells[name] = int(text)
    for name in ("sudo", "legacy_algorithms"):
        if (word := cells.get(name, "").lower()) in TRUE + FALSE:
            cells[name] = word in TRUE
    if "labels" in cells:
        pairs = [pair.partition("=") for pair in cells["labels"].split(";") if pair.strip()]
        names = [name.strip() for name, _, _ in pairs]
        if all(sign for _, sign, _ in pairs) and len(set(names)) == len(names):
            cells["labels"] = {name: value.strip() for name, (_, _, value) in zip(names, pairs, strict=True)}
    if "teams" in cells:
        cells["teams"] = [name.strip() for name in cells["teams"].split(";") if name.strip()]
    return cells


def _checked(number: int, row: Any, wrong: dict[str, str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        wrong[f"/{number}"] = "must be an object"
        return {}
    clean, reasons = validation.check(row, validation.REQUIRED)
    wrong |= {f"/{number}/{_escaped(name)}": reason for name, reason in reasons.items()}
    return clean


def _escaped(name: Any) -> str:
    return str(name)[:64].encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")


def _nameable(value: Any) -> bool:
    """PostgreSQL refuses a NUL or half a character even in a question."""
    return isinstance(value, str) and value.isprintable()


def _there(names: list[str]) -> dict[str, Asset]:
    """The hosts of these names that are there, by name, with their teams."""
    found: dict[str, Asset] = {}
    for start in range(0, len(names), 500):  # databases limit how many values one query may name
        wanted = [name for name in names[start : start + 500] if name]
        rows = Asset.objects.filter(hostname__in=wanted).prefetch_related("teams")
        found |= {row.hostname: row for row in rows}
    return found


def _taken(
    rows: list[dict[str, Any]], there: Mapping[str, Asset], teams: Mapping[int | str, int], bad: Collection[int]
) -> tuple[dict[str, str], set[str]]:
    """Names that come twice or are another host's; and those whose host is there just as the row says."""
    often = Counter(str(row.get("hostname", "")) for row in rows)
    wrong: dict[str, str] = {}
    unchanged: set[str] = set()
    for number, row in enumerate(rows):
        name = str(row.get("hostname", ""))
        if name and often[name] > 1:
            wrong[f"/{number}/hostname"] = "comes more than once"
        elif name in there:
            other = _differing(row, there[name], teams)
            if number in bad or other:
                what = f", with another {', '.join(other)}" if other else ""
                wrong[f"/{number}/hostname"] = f"there is a host of this name already{what}"
            else:
                unchanged.add(name)
    return wrong, unchanged


def _differing(row: Mapping[str, Any], host: Asset, teams: Mapping[int | str, int]) -> list[str]:
    """The fields that the row names otherwise than the host has them."""
    own = {name: getattr(host, name) for name in row if name != "teams"}
    if "teams" in row:
        own["teams"] = {team.pk for team in host.teams.all()}
    asked = {name: {teams.get(which) for which in value} if name == "teams" else value for name, value in row.items()}
    return [name for name in own if own[name] != asked[name]]


def create(caller: Caller, checked: Checked) -> list[Asset]:
    """All that is new of checked rows, in one transaction."""
    rows, teams = checked.new, checked.teams
    if not rows:
        return []
    made = [Asset(**row, created_by=caller.name, updated_by=caller.name) for row in rows]
    try:
        with transaction.atomic():
            made = Asset.objects.bulk_create(made, batch_size=500)
            given = (HostTeam(host=host, team_id=team) for host, ids in zip(made, teams, strict=True) for team in ids)
            HostTeam.objects.bulk_create(given, batch_size=500)
            names = [host.hostname for host in made]
            history.record(caller, "import", "host", None, after={"count": len(made), "hostnames": names})
    except IntegrityError as error:
        raise conflict(
            "already_exists",
            "Some of these names were taken at the same moment. Nothing was imported.",
            "Send the same again to see which.",
        ) from error
    return made


def _refused(wrong: dict[str, str], rows: list[Any] | None = None) -> Problem:
    errors: list[dict[str, Any]] = [
        {"pointer": pointer, "reason": reason, **_line(pointer, rows)} for pointer, reason in wrong.items()
    ]
    errors.sort(key=lambda error: error.get("line", 0))
    first = errors[0]
    where = f"line {first['line']}, {first['pointer'].split('/')[-1]}" if "line" in first else first["pointer"]
    more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    detail = f"{where or 'the rows'}: {first['reason']}.{more} Nothing was imported."
    return Problem(422, "invalid", detail, errors=errors[:MOST_ERRORS])


def _line(pointer: str, rows: list[Any] | None) -> dict[str, int]:
    """Where in its file the row stands that a pointer leads into; nothing for rows that came from none."""
    number = pointer.split("/")[1] if pointer else ""
    line = getattr(rows[int(number)], "line", 0) if rows and number.isdigit() else 0
    return {"line": line} if line else {}
