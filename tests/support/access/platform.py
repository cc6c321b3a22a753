"""What is no entity. By hand from protocol/rest.md 2.4-2.10, decisions.md 8, 11, 16 and 22, security.md 4.6."""

from tests.support.access.table import Call, Entity, read_rows

__all__ = ["PAGES", "PLATFORM"]

_LEVELS = ("",)
_PROGRAM = b"[general]\nname = 'Thermometer'\n"
_ROUTES = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
GET    /metrics/                          200  +   +   +   +   1   +   +   +   +   3    .
POST   /repos/bulk_update                 204  1   3   3   3   1   +   3   3   3   3    .
GET    /jobs                              200  1   3   3   3   1   +   3   3   3   3    .
GET    /jobs/runs                         200  1   3   3   3   1   +   3   3   3   3    .
POST   /jobs/{name}/run                   204  1   3   3   3   1   +   3   3   3   3    .
PATCH  /repository_registry/backend_sync_registry 204 1 3 3 3  1   3   3   3   3   3    .    a
POST   /units/convert_toml_to_md          200  1   +   +   +   1   +   3   3   3   3    .
POST   /units/auth                        list -   -   -   -   -   -   -   -   -   +    .    b
"""
_PAGES = """
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
ANY    /pepeunit/graphql                  405  +   +   +   +   +   +   +   +   +   +    .    b
ANY    /pepeunit/api/v1/bot               405  +   +   +   +   +   +   +   +   +   +    .    b
ANY    /pepeunit/api/v1/grafana/{rest}    405  +   +   +   +   +   +   +   +   +   +    .    b
ANY    /pepeunit/api/v1/unit_nodes/get_data_pipe_data_csv/{uuid} 405 + + + + + + + + +  +    .    b
ANY    /pepeunit/api/v1/unit_nodes/set_data_pipe_data_csv        405 + + + + + + + + +  +    .    b
"""

PLATFORM = Entity(
    title="The platform as a whole",
    about="""No entity is asked about here.""",
    kind="nothing",
    levels=_LEVELS,
    rows=read_rows(_ROUTES, _LEVELS),
    requests={
        "GET /metrics/": lambda _, __: Call("/metrics/"),
        "POST /repos/bulk_update": lambda _, __: Call("/repos/bulk_update"),
        "GET /jobs": lambda _, __: Call("/jobs"),
        "GET /jobs/runs": lambda _, __: Call("/jobs/runs"),
        "POST /jobs/{name}/run": lambda _, __: Call("/jobs/expiry/run"),
        "PATCH /repository_registry/backend_sync_registry": lambda _, __: Call(
            "/repository_registry/backend_sync_registry"
        ),
        "POST /units/convert_toml_to_md": lambda _, __: Call(
            "/units/convert_toml_to_md", upload=_PROGRAM, upload_field="file"
        ),
        "POST /units/auth": lambda s, caller: Call(
            "/units/auth", {"token": caller.token or "", "topic": f"{s.domain}/+/pepeunit"}, marker='"allow"'
        ),
    },
    notes={
        "a": "The gateway fetches by itself; a Backend's token opens nothing but its connection to the broker.",
        "b": "The token is in the body. ✓ is `allow`, for the topic of data pipes, and *no* is `deny`.",
    },
)

PAGES = Entity(
    title="Outside the API",
    about="""The paths are whole. Only the metrics look at a token.""",
    kind="nothing",
    levels=_LEVELS,
    rows=read_rows(_PAGES, _LEVELS),
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
        "ANY /pepeunit/graphql": lambda _, __: Call("/pepeunit/graphql"),
        "ANY /pepeunit/api/v1/bot": lambda _, __: Call("/pepeunit/api/v1/bot"),
        "ANY /pepeunit/api/v1/grafana/{rest}": lambda _, __: Call("/pepeunit/api/v1/grafana/get_dashboards"),
        "ANY /pepeunit/api/v1/unit_nodes/get_data_pipe_data_csv/{uuid}": lambda _, __: Call(
            "/pepeunit/api/v1/unit_nodes/get_data_pipe_data_csv/00000000-0000-4000-8000-000000000000"
        ),
        "ANY /pepeunit/api/v1/unit_nodes/set_data_pipe_data_csv": lambda _, __: Call(
            "/pepeunit/api/v1/unit_nodes/set_data_pipe_data_csv"
        ),
    },
    notes={
        "a": "Or with `PU_METRICS_TOKEN` as bearer token. 405 with `PU_FF_PROMETHEUS_ENABLE=false`.",
        "b": "With every method: this part is not there.",
    },
    prefixed=False,
)
