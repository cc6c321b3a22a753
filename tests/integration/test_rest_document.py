"""The OpenAPI document against the running gateway: no answer that is not documented, whatever is sent."""

import io
import json
import random

import pytest
import pytest_asyncio
from aiohttp import FormData

from tests.support.openapi import problems
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH_DATABASES = True

_JUNK = (None, True, -1, 0, 2**70, 1.5, "", "x", "\u0000", "\U0001f600" * 30, "1; DROP TABLE users", [], {}, [MISSING])
_ROUNDS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(here):
    reply = await here.nobody.get("/openapi.json")
    assert reply.status == 200
    return reply.body


async def test_the_document_of_the_running_gateway_is_well_formed(here, document):
    assert problems(document) == []
    assert document["servers"] == [{"url": here.gateway.settings.api_prefix}]


def _plausible(schema, chance):
    """Something that may fit, so that not everything ends at the first check."""
    kind = schema.get("format") or schema.get("type")
    if "enum" in schema:
        return chance.choice(schema["enum"])
    known = {"uuid": MISSING, "boolean": True, "integer": 1, "array": [MISSING], "date-time": "2024-01-01T00:00:00Z"}
    return known.get(kind, "some-text")


def _value(schema, chance):
    return chance.choice(_JUNK) if chance.random() < 0.5 else _plausible(schema, chance)


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _request(document, path, operation, chance, uuids):
    """Make one request; a third of the values is junk."""
    params, headers = [], {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            value = chance.choice([*uuids, "junk", "%00"])
            path = path.replace(f"{{{parameter['name']}}}", value)
        elif parameter["in"] == "header":
            headers[parameter["name"]] = f"key-{chance.random()}"
        elif parameter["required"] or chance.random() < 0.4:
            params.append((parameter["name"], _text(_value(parameter["schema"], chance))))
    options = {"params": params, "headers": headers}
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        form = FormData()
        (field,) = content["multipart/form-data"]["schema"]["required"]
        form.add_field(field, chance.choice([b"", b"a: 1", b"a = 1", b"[1", b"\xff\x00", b"&a [*a]"]), filename="data")
        options["data"] = form
    elif content:
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        fields = document["components"]["schemas"][name]["properties"]
        body = {field: _value(schema, chance) for field, schema in fields.items() if chance.random() < 0.9}
        options["data"] = io.BytesIO(json.dumps(chance.choice([body, body, body, None, [body]])).encode())
    return path, options


async def test_every_answer_is_documented_whatever_is_sent(here, document):
    """W16 among others: nothing that a client sends makes a 500."""
    chance = random.Random(20)
    unit = await make_unit(here.alice, here.repo["uuid"], "junk-unit")
    node = (await nodes_of(here.alice, unit["uuid"]))["raw_in"]
    uuids = [MISSING, here.registry["uuid"], here.repo["uuid"], unit["uuid"], node["uuid"]]
    own = await here.gateway.unit(here.alice, unit["uuid"])
    callers = [here.nobody, here.alice, here.bob, own, here.nobody.with_token("junk")]
    wrong = []
    for template, item in document["paths"].items():
        for method, operation in item.items():
            if method == "delete" or (method, template) == ("patch", "/users/{uuid}"):
                continue  # what the other calls need must stay
            for _ in range(_ROUNDS):
                path, options = _request(document, template, operation, chance, uuids)
                reply = await chance.choice(callers).call(method.upper(), path, **options)
                if str(reply.status) not in operation["responses"] or reply.status == 500:
                    wrong.append((method, path, reply.status, reply.body))
                assert len(reply.headers["X-Request-ID"]) == 32
    assert wrong == []
