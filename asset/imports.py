"""Importing hosts from JSON or CSV: all of them, or none with every error by row."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import FieldError, Problem, refused
from audit import history
from messages import Message
from runtime.ids import parse_number

from . import hosts, tenancy, validation
from .models import Asset, Credential, Environment, HostTeam

MAX_ROWS = 5000
MAX_ERRORS = 100  # named in one answer
# The columns of a file: credential, jump host and environment are named by name.
FIELDS = [name.removesuffix("_id") for name in validation.FIELDS]
EXTRA_CELLS = "\0"  # the key of a row with more cells than columns: not the name of any column
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Row(dict[str, Any]):
    """The fields of a row, and the line of the file on which it begins; 0 where there is no file."""

    def __init__(self, fields: Mapping[str, Any], line: int):
        super().__init__(fields)
        self.line = line


@dataclass
class CheckedRows:
    """Rows that can be imported: the new hosts, the team ids of each, and the names of those that exist unchanged."""

    new: list[dict[str, Any]]
    teams: list[list[int]]
    unchanged: list[str]


def import_many(caller: Caller, rows: list[Any]) -> list[Asset]:
    """Create a host for each new row: all of them, or none; see `check_many`."""
    return create(caller, check_many(rows))


def check_many(rows: list[Any]) -> CheckedRows:
    """Check every row before any host is created. 422 with a pointer for each error (/3/ip: row 3, counted from 0), and
    the line for rows of a file.

    A row whose host exists with the same fields is not an error, so a file can be imported again. A credential, a
    jump host and an environment are named by `credential_id` (and so on), or by name as `credential`; each must exist.
    The number of queries does not grow with the number of rows.
    """
    if not 1 <= len(rows) <= MAX_ROWS:
        raise _refused({"": Message("import_size", {"max": MAX_ROWS})})
    reasons: dict[str, Message] = {}
    clean = [_check_row(number, row, reasons) for number, row in enumerate(_with_ids(rows, reasons))]
    teams = tenancy.teams_of(clean)
    for number, missing in enumerate(hosts.missing_references(clean, teams)):
        reasons |= {f"/{number}/{name}": reason for name, reason in missing.items()}
    invalid_rows = {int(pointer.split("/")[1]) for pointer in reasons}
    existing = _existing([str(row.get("hostname", "")) for row in clean])
    taken, unchanged = _taken(clean, existing, teams, invalid_rows)
    reasons |= taken
    if reasons:
        raise _refused(reasons, rows)
    new = [row for row in clean if row["hostname"] not in unchanged]
    hosts.check_new_jumps({row["jump_host_id"] for row in new if row.get("jump_host_id")})
    return CheckedRows(new, [[teams[team] for team in row.pop("teams", ())] for row in new], sorted(unchanged))


def _with_ids(rows: list[Any], reasons: dict[str, Message]) -> list[Any]:
    """Return the rows with ids for the names of credentials, jump hosts and environments. Three queries at most."""
    models: tuple[tuple[str, type[Credential | Asset | Environment], str], ...] = (
        ("credential", Credential, "name"),
        ("jump_host", Asset, "hostname"),
        ("environment", Environment, "name"),
    )
    rows = [Row(row, getattr(row, "line", 0)) if isinstance(row, dict) else row for row in rows]
    for column, model, field in models:
        if not any(isinstance(row, dict) and column in row for row in rows):
            continue
        wanted = {row[column] for row in rows if isinstance(row, dict) and _nameable(row.get(column))}
        ids = dict(model.objects.filter(**{f"{field}__in": wanted}).values_list(field, "pk"))
        for number, row in enumerate(rows):
            if isinstance(row, dict) and column in row:
                name = row.pop(column)
                if not _nameable(name) or name not in ids:
                    reasons[f"/{number}/{column}"] = Message("import_not_found", {"what": column})
                elif f"{column}_id" in row:
                    reasons[f"/{number}/{column}"] = Message("import_name_and_id", {"field": f"{column}_id"})
                else:
                    row[f"{column}_id"] = ids[name]
    return rows


def from_csv(text: str) -> list[dict[str, Any]]:
    """Return the rows of a CSV text whose first line names the fields. An empty cell leaves its field out.

    `sudo` and `legacy_algorithms` are one of 1, true, yes, on or their opposites; `labels` is `name=text;name=text`,
    `teams` are names between semicolons; `credential`, `jump_host` and `environment` are names.
    """
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows, line = [], 0
        for row in reader:
            rows.append((row, line + 1 if line else 2))  # of the row's beginning: a cell may hold newlines
            line = reader.line_num
    except csv.Error as error:
        raise _refused({"": Message("import_not_csv", {"reason": str(error)})}) from error
    if not reader.fieldnames or len(set(reader.fieldnames)) != len(reader.fieldnames):
        raise _refused({"": Message("import_header")})
    return [Row(_from_cells(row), line) for row, line in rows]


def from_json(text: bytes) -> list[Any]:
    """Return the rows of a JSON list, or of an object that holds the list as `hosts`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused("not_json") from error
    value = value.get("hosts") if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise _refused({"": Message("import_not_list")})
    return value


def _from_cells(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Convert cells to the types of their fields. One that cannot be converted stays text: the field's rule refuses
    it."""
    if None in row:
        return {EXTRA_CELLS: True}
    cells: dict[str, Any] = {str(name).strip(): text.strip() for name, text in row.items() if text and text.strip()}
    for name in ("port", "credential_id", "jump_host_id", "environment_id", "package_port"):
        if (parsed := parse_number(cells.get(name, ""))) is not None:
            cells[name] = parsed
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


def _check_row(number: int, row: Any, reasons: dict[str, Message]) -> dict[str, Any]:
    if not isinstance(row, dict):
        reasons[f"/{number}"] = Message("import_not_object")
        return {}
    if EXTRA_CELLS in row:
        reasons[f"/{number}"] = Message("import_cells")
        return {}
    clean, of_fields = validation.check(row, validation.REQUIRED)
    reasons |= {f"/{number}/{_escaped(name)}": reason for name, reason in of_fields.items()}
    return clean


def _escaped(name: Any) -> str:
    return str(name)[:64].encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")


def _nameable(value: Any) -> bool:
    """Return whether a name may be looked for: PostgreSQL refuses a NUL or a lone surrogate even in a query."""
    return isinstance(value, str) and value.isprintable()


def _existing(names: list[str]) -> dict[str, Asset]:
    """Return the existing hosts of these names, by name, with their teams."""
    existing: dict[str, Asset] = {}
    for start in range(0, len(names), 500):  # databases limit the number of values in one query
        wanted = [name for name in names[start : start + 500] if name]
        rows = Asset.objects.filter(hostname__in=wanted).prefetch_related("teams")
        existing |= {row.hostname: row for row in rows}
    return existing


def _taken(
    rows: list[dict[str, Any]],
    existing: Mapping[str, Asset],
    teams: Mapping[int | str, int],
    invalid_rows: Collection[int],
) -> tuple[dict[str, Message], set[str]]:
    """Return the reasons for names that are repeated or taken, and the names whose host exists as the row says."""
    counts = Counter(str(row.get("hostname", "")) for row in rows)
    reasons: dict[str, Message] = {}
    unchanged: set[str] = set()
    for number, row in enumerate(rows):
        name = str(row.get("hostname", ""))
        if name and counts[name] > 1:
            reasons[f"/{number}/hostname"] = Message("import_repeated")
        elif name in existing:
            fields = _differing(row, existing[name], teams)
            if fields:
                reasons[f"/{number}/hostname"] = Message("import_differs", {"fields": fields})
            elif number in invalid_rows:
                reasons[f"/{number}/hostname"] = Message("import_taken")
            else:
                unchanged.add(name)
    return reasons, unchanged


def _differing(row: Mapping[str, Any], host: Asset, teams: Mapping[int | str, int]) -> list[str]:
    """Return the names of the row's fields in which the host differs."""
    own = {name: getattr(host, name) for name in row if name != "teams"}
    if "teams" in row:
        own["teams"] = {team.pk for team in host.teams.all()}
    new = {name: {teams.get(team) for team in value} if name == "teams" else value for name, value in row.items()}
    return [name for name in own if own[name] != new[name]]


def create(caller: Caller, checked: CheckedRows) -> list[Asset]:
    """Create the new hosts of checked rows, in one transaction."""
    rows, teams = checked.new, checked.teams
    if not rows:
        return []
    new = [Asset(**row, **hosts.since(row), created_by=caller.name, updated_by=caller.name) for row in rows]
    try:
        with transaction.atomic():
            new = Asset.objects.bulk_create(new, batch_size=500)
            links = (HostTeam(host=host, team_id=team) for host, ids in zip(new, teams, strict=True) for team in ids)
            HostTeam.objects.bulk_create(links, batch_size=500)
            names = [host.hostname for host in new]
            history.record(caller, "import", "host", None, after={"count": len(new), "hostnames": names})
    except IntegrityError as error:
        raise refused("already_exists.imported_hosts") from error
    return new


def _refused(reasons: dict[str, Message], rows: list[Any] | None = None) -> Problem:
    """Return 422 with the first MAX_ERRORS errors, in the order of the file."""
    errors = [FieldError(pointer, reason, _line(pointer, rows)) for pointer, reason in reasons.items()]
    errors.sort(key=lambda error: error.more.get("line", 0))
    first = errors[0]
    params = {"place": _place(first), "reason": first.reason}
    message = Message("invalid.import", params)
    if len(errors) > 1:
        message = Message("invalid.import_several", {**params, "more": len(errors) - 1})
    return Problem(422, message, errors=errors[:MAX_ERRORS])


def _place(error: FieldError) -> Message | str:
    if "line" in error.more:
        return Message("place_line", {"line": error.more["line"], "field": error.pointer.split("/")[-1]})
    return error.pointer or Message("place_rows")


def _line(pointer: str, rows: list[Any] | None) -> dict[str, int]:
    """Return {"line": …} of the row that a pointer leads into; {} for rows that are not from a file."""
    number = parse_number(pointer.split("/")[1]) if pointer else None
    line = getattr(rows[number], "line", 0) if rows and number is not None else 0
    return {"line": line} if line else {}
