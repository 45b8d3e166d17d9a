"""/api/v1/openapi.json and the committed openapi.json."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from api.management.commands.openapi import described
from api.openapi_examples import SCHEMAS
from asset.models import Asset
from microservice.models import MicroServiceVersion
from tests import factories

COMMITTED = Path(__file__).resolve().parents[2] / "openapi.json"


@pytest.fixture(scope="module")
def schema():
    return json.loads(described())


def test_committed_openapi_is_current(client):
    served = client.get("/api/v1/openapi.json").json()
    committed = json.loads(COMMITTED.read_text())
    assert served == committed, "the API has changed: run `make openapi`, and look at the difference"


def test_every_endpoint_names_its_refusals(schema):
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    assert len(operations) > 40
    for operation in operations:
        assert {"400", "401", "403", "404", "422", "429", "503"} <= set(operation["responses"])
        assert "\n\nNeeds " in operation["description"]
    for operation in schema["components"]["responses"].values():
        assert list(operation["content"]) == ["application/problem+json"]


def test_every_post_takes_an_idempotency_key(schema):
    posts = [methods["post"] for methods in schema["paths"].values() if "post" in methods]
    assert posts
    without = [
        told["operationId"]
        for told in posts
        if "Idempotency-Key" not in {parameter["name"] for parameter in told.get("parameters", [])}
    ]
    assert [name for name in without if "webhook" not in name] == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_match_their_schema(schema, name):
    assert schema["components"]["schemas"][name]["examples"] == [SCHEMAS[name]]
    wanted = {"$ref": f"#/components/schemas/{name}", "components": schema["components"]}
    jsonschema_rs.validate(wanted, SCHEMAS[name])


def test_refusals_match_their_schema(schema, api, db):
    factories.running(2)
    version = MicroServiceVersion.objects.order_by("pk").last()
    path = f"/services/shop/versions/{version.pk}/install"
    refused = api().post(path, {"host": [host.pk for host in Asset.objects.all()]})
    assert (refused.status_code, len(refused.json()["errors"])) == (409, 2)
    assert isinstance(refused.json()["errors"][0]["instance_id"], int)
    jsonschema_rs.validate({"$ref": "#/components/schemas/Problem", "components": schema["components"]}, refused.json())


def test_every_operation_has_a_summary(schema):
    operations = {
        operation["operationId"]: operation for methods in schema["paths"].values() for operation in methods.values()
    }
    generated = [name for name, operation in operations.items() if operation["summary"] == operation["summary"].title()]
    assert {operation["summary"] for operation in operations.values()} and generated == []
