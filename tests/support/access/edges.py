"""Edges. By hand from protocol/rest.md 2.7, decisions.md 1 and 12."""

from tests.support.access.table import LEVELS, Call, Entity, read_rows

__all__ = ["EDGES"]

_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /unit_nodes/create_unit_node_edge @from-the-Output 201 1 ++3 + + 1 ++3 3 3 3 3     14  a
POST   /unit_nodes/create_unit_node_edge @into-the-Input  201 1 3   + + 1 3   3 3 3 3     14  a
GET    /unit_nodes/edges                  list +-- ++- +   +   1   +   +   ++- +   3    .    b
DELETE /unit_nodes/edges/{uuid}           204  1   3   +   3   1   +   3   3   3   3    14   c
"""


def _edge(output: str, target: str) -> Call:
    return Call("/unit_nodes/create_unit_node_edge", {"node_output_uuid": output, "node_input_uuid": target})


EDGES = Entity(
    title="Edges",
    about="""Levels, creator and permissions are those of the nodes at the edge.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "POST /unit_nodes/create_unit_node_edge @from-the-Output": lambda s, caller: _edge(s.output, caller.own_input),
        "POST /unit_nodes/create_unit_node_edge @into-the-Input": lambda s, caller: _edge(caller.own_output, s.input),
        "GET /unit_nodes/edges": lambda s, _: Call(
            f"/unit_nodes/edges?unit_node_uuid={s.output}&limit=500", marker=s.edge
        ),
        "DELETE /unit_nodes/edges/{uuid}": lambda s, _: Call(f"/unit_nodes/edges/{s.edge}"),
    },
    destroys=frozenset({"DELETE /unit_nodes/edges/{uuid}"}),
    notes={
        "a": "The node at the other end is the caller's own.",
        "b": "Both nodes have the level. An edge is listed for who sees both of its nodes, for who made it, for the"
        " creator of either node, for an Admin, and for a Unit that owns either node.",
        "c": "Who made it, the creator of either node, and an Admin. An edge outlives the permission it was made by.",
    },
)
