"""What is no entity: the document, the page, the card, probes. By hand from decisions.md 11."""

from tests.support.access.table import Call, Entity, read_rows

__all__ = ["PLATFORM"]

_LEVELS = ("",)
_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
GET    /                                  302  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit                          200  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit/docs                     200  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit/docs/                    302  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit/docs/static/{name}       200  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit/api/v1/openapi.json      200  +   +   +   +   +   +   +   +   +   +    .
GET    /pepeunit/metrics                  200  1   3   3   3   1   +   3   3   3   3    .    a
GET    /healthz                           200  +   +   +   +   +   +   +   +   +   +    .
GET    /readyz                            200  +   +   +   +   +   +   +   +   +   +    .
"""

PLATFORM = Entity(
    title="The platform itself",
    about="""The paths are whole. Only the metrics look at a token.""",
    kind="nothing",
    levels=_LEVELS,
    rows=read_rows(_TABLE, _LEVELS),
    requests={
        "GET /": lambda _, __: Call("/"),
        "GET /pepeunit": lambda _, __: Call("/pepeunit"),
        "GET /pepeunit/docs": lambda _, __: Call("/pepeunit/docs"),
        "GET /pepeunit/docs/": lambda _, __: Call("/pepeunit/docs/"),
        "GET /pepeunit/docs/static/{name}": lambda _, __: Call("/pepeunit/docs/static/start.js"),
        "GET /pepeunit/api/v1/openapi.json": lambda _, __: Call("/pepeunit/api/v1/openapi.json"),
        "GET /pepeunit/metrics": lambda _, __: Call("/pepeunit/metrics"),
        "GET /healthz": lambda _, __: Call("/healthz"),
        "GET /readyz": lambda _, __: Call("/readyz"),
    },
    notes={"a": "Or with `PU_METRICS_TOKEN` as bearer token. 405 with `PU_FF_PROMETHEUS_ENABLE=false`."},
    prefixed=False,
)
