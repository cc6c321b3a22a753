"""Every route x agent x visibility, over HTTP on a real gateway; the cells are in tests/support/access, by hand.

A route that has no row fails, and so does a row that has no route.
"""

import pytest
import pytest_asyncio

from pepeunit_gateway.api.server import TABLES, create_app
from pepeunit_gateway.datapipe.service import Pipes
from tests.support.access.entities import ENTITIES
from tests.support.access.stage import NOBODY, open_stage
from tests.support.access.table import ANY, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH_DATABASES = True

_CASES = [(entity, row) for entity in ENTITIES for row in entity.rows]
_NAMES = [f"{entity.title}: {row.key}" for entity, row in _CASES]
_MISSING = [(entity, row) for entity, row in _CASES if row.none != "."]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    async with open_stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


def _found(call, status, text):
    """What an answer was, in the words of the table."""
    return Outcome(status, call.marker in text) if call.marker and status == 200 else Outcome(status)


@pytest.mark.parametrize(("entity", "row"), _CASES, ids=_NAMES)
async def test_every_cell_is_answered_as_the_table_says(stage, entity, row):
    """W2, W7 and W8: each turns cells wrong when it is put back."""
    wrong = []
    for number, level in enumerate(entity.levels):
        for name, cell in row.cells.items():
            subject = await stage.subject(entity.kind, level)
            caller = stage.caller(name, subject)
            call = entity.requests[row.key](subject, caller)
            status, text = await stage.ask(caller, row.method, call, prefixed=entity.prefixed)
            found, expected = _found(call, status, text), row.outcome(cell[number])
            if found != expected:
                wrong.append(f"{name} on {level or 'it'}: {found}, not {expected}: {text[:200]}")
            if status < 300 and row.key in entity.destroys:
                stage.forget(entity.kind, level)
    assert not wrong, "\n".join([row.key, *wrong])


@pytest.mark.parametrize(("entity", "row"), _MISSING, ids=[f"{entity.title}: {row.key}" for entity, row in _MISSING])
async def test_w16_what_there_is_not_is_answered_as_the_table_says(stage, entity, row):
    for name, symbol in zip(("Bot", "stranger"), row.none, strict=True):
        caller = stage.caller(name, NOBODY)
        call = entity.requests[row.key](NOBODY, caller)
        status, text = await stage.ask(caller, row.method, call, prefixed=entity.prefixed)
        assert status == row.outcome(symbol).status, (name, status, text)


async def _ready():
    """Nothing is asked of this application."""


def _routes(stage):
    """Every route of the gateway by method and whole path. HEAD comes with GET; * stands for ANY, or only refuses."""
    registry = stage.registry
    app = create_app(stage.gateway.settings, registry, Pipes(registry, registry.context.telemetry), _ready)
    found = {(route.method, route.resource.canonical) for route in app.router.routes()}
    named = {path for method, path in found if method != "*"}
    return {
        f"{ANY if method == '*' else method} {path}"
        for method, path in found
        if method != "HEAD" and not (method == "*" and path in named)
    }


async def test_no_route_is_missing_in_the_table_and_none_is_too_many(stage):
    prefix = stage.gateway.settings.api_prefix
    told = {f"{row.method} {prefix if entity.prefixed else ''}{row.path}" for entity, row in _CASES}
    spellings = {
        f"{endpoint.route.method} {prefix}{endpoint.route.also}"
        for table in TABLES
        for endpoint in table.endpoints
        if endpoint.route.also is not None
    }
    assert told == _routes(stage) - spellings
