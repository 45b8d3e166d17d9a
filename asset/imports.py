"""Many hosts at once, from JSON or CSV: all of them, or none and every reason why, row by row."""
import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import Problem, conflict
from microservice import history

from . import hosts, rules, tenancy
from .models import Asset, HostTeam

MOST_ROWS = 5000
MOST_ERRORS = 100  # named in one answer
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def import_many(caller: Caller, rows: list[Any]) -> list[Asset]:
    """Creates a host for each row of fields. 422 with a pointer for each wrong value (/3/ip is row 3's, from 0).

    A jump host must be there already. The number of queries does not grow with the number of rows.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise _refused({"": f"must hold 1 to {MOST_ROWS} hosts"})
    wrong: dict[str, str] = {}
    clean = [_checked(number, row, wrong) for number, row in enumerate(rows)]
    teams = tenancy.teams_of(clean)
    for number, missing in enumerate(hosts.missing_references(clean, teams)):
        wrong |= {f"/{number}/{name}": reason for name, reason in missing.items()}
    wrong |= _taken(clean)
    if wrong:
        raise _refused(wrong)
    for jump_id in {row["jump_host_id"] for row in clean if row.get("jump_host_id")}:
        hosts.check_jumps(None, jump_id)
    return _create(caller, clean, [[teams[which] for which in row.pop("teams", ())] for row in clean])


def from_csv(text: str) -> list[dict[str, Any]]:
    """Rows of a CSV text whose first line names the fields. An empty cell leaves its field out.

    `sudo` and `legacy_algorithms` are one of 1, true, yes, on or their opposites; `labels` is `name=text;name=text`,
    `teams` are names between semicolons.
    """
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except csv.Error as error:
        raise _refused({"": f"is not CSV: {error}"}) from error
    if not reader.fieldnames or len(set(reader.fieldnames)) != len(reader.fieldnames):
        raise _refused({"": "the first line must name each column once"})
    return [_from_cells(row) for row in rows]


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


def _from_cells(row: Mapping[str | None, Any]) -> dict[str, Any]:
    """A cell is a text; what cannot be read as its field's type stays one, and is refused by the field's rule."""
    if None in row:
        return {"row": "has more cells than the first line"}
    cells: dict[str, Any] = {str(name).strip(): text.strip() for name, text in row.items() if text and text.strip()}
    for name in ("port", "credential_id", "jump_host_id", "fetch_port"):
        if (text := cells.get(name, "")).isascii() and text.isdigit() and len(text) < 19:
            cells[name] = int(text)
    for name in ("sudo", "legacy_algorithms"):
        if (word := cells.get(name, "").lower()) in TRUE + FALSE:
            cells[name] = word in TRUE
    if "labels" in cells:
        pairs = [pair.partition("=") for pair in cells["labels"].split(";") if pair.strip()]
        cells["labels"] = {name.strip(): value.strip() for name, _, value in pairs}
    if "teams" in cells:
        cells["teams"] = [name.strip() for name in cells["teams"].split(";") if name.strip()]
    return cells


def _checked(number: int, row: Any, wrong: dict[str, str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        wrong[f"/{number}"] = "must be an object"
        return {}
    clean, reasons = rules.check(row, rules.REQUIRED)
    wrong |= {f"/{number}/{_escaped(name)}": reason for name, reason in reasons.items()}
    return clean


def _escaped(name: Any) -> str:
    return str(name)[:64].encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")


def _taken(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Names that are there already, or come twice."""
    names = [row.get("hostname") for row in rows]
    often = Counter(names)
    there: set[str] = set()
    for start in range(0, len(names), 500):  # databases limit how many values one query may name
        wanted = [name for name in names[start : start + 500] if name]
        there |= set(Asset.objects.filter(hostname__in=wanted).values_list("hostname", flat=True))
    return {
        f"/{number}/hostname": "there is a host of this name already" if name in there else "comes more than once"
        for number, name in enumerate(names)
        if name and (name in there or often[name] > 1)
    }


def _create(caller: Caller, rows: list[dict[str, Any]], teams: list[list[int]]) -> list[Asset]:
    """`teams`: for each row the ids of those that it belongs to."""
    made = [Asset(**row, created_by=caller.name, updated_by=caller.name) for row in rows]
    try:
        with transaction.atomic():
            made = Asset.objects.bulk_create(made, batch_size=500)
            given = (HostTeam(host=host, team_id=team) for host, ids in zip(made, teams, strict=True) for team in ids)
            HostTeam.objects.bulk_create(given, batch_size=500)
            names = [host.hostname for host in made]
            history.record(caller, "import", "host", None, after={"count": len(made), "hostnames": names})
    except IntegrityError as error:
        raise conflict("already_there", "Some of these names were taken at the same moment. Nothing was imported.",
                       "Send the same again to see which.") from error
    return made


def _refused(wrong: dict[str, str]) -> Problem:
    errors = [{"pointer": pointer, "reason": reason} for pointer, reason in wrong.items()]
    where, reason = next(iter(wrong.items()))
    more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    detail = f"{where or 'the rows'}: {reason}.{more} Nothing was imported."
    return Problem(422, "invalid", detail, errors=errors[:MOST_ERRORS])
