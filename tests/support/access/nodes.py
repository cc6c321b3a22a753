"""Unit nodes. By hand from protocol/rest.md 2.7, decisions.md 1, 2 and 16."""

from tests.support.access.table import LEVELS, Call, Entity, read_rows

__all__ = ["NODES"]

_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
GET    /unit_nodes/{uuid}                 200  +11 ++3 +   +   1   +   +   ++3 +   3    44
GET    /unit_nodes                        list +-- ++- +   +   1   +   +   ++- +   3    .
PATCH  /unit_nodes/{uuid}                 200  1   3   +   3   1   3   3   3   3   3    14
PATCH  /unit_nodes/set_state_input/{uuid} 200  1   3   +   +   1   3   3   3   3   3    14
PATCH  /unit_nodes/set_state_input/{uuid} @rewritable 200 1 3 + +  1   3   +   3   +   3    14  a
"""

NODES = Entity(
    title="Unit nodes",
    about="""*Unit itself* is the unit that the node belongs to. An edge between the node and a node of another unit
makes that one a permitted Unit as a permission does.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "GET /unit_nodes/{uuid}": lambda s, _: Call(f"/unit_nodes/{s.output}"),
        "GET /unit_nodes": lambda s, _: Call(f"/unit_nodes?uuids={s.output}", marker=s.output),
        "PATCH /unit_nodes/{uuid}": lambda s, _: Call(f"/unit_nodes/{s.output}", {"max_connections": 20}),
        "PATCH /unit_nodes/set_state_input/{uuid}": lambda s, _: Call(
            f"/unit_nodes/set_state_input/{s.input}", {"state": "on"}
        ),
        "PATCH /unit_nodes/set_state_input/{uuid} @rewritable": lambda s, _: Call(
            f"/unit_nodes/set_state_input/{s.rewritable}", {"state": "on"}
        ),
    },
    notes={"a": "An Input with `is_rewritable_input`."},
)
