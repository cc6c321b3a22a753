"""Data pipes and stored values. By hand from protocol/rest.md 2.7, decisions.md 2 and 16; W8."""

from tests.support.access.table import LEVELS, Call, Entity, read_rows

__all__ = ["PIPES"]

_CONFIG = b"""\
active_period: {type: Permanent}
filters: {type_input_value: Text, max_rate: 0, max_size: 100}
processing_policy: {policy_type: LastValue}
"""
_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /unit_nodes/check_data_pipe_config 200  +   +   +   +   1   +   +   +   +   3    .
POST   /unit_nodes/set_data_pipe_config   204  1   3   +   3   1   3   3   3   3   3    14
GET    /unit_nodes/get_data_pipe_config/{uuid} 200 1 3 +   +   1   3   3   3   3   3    14
GET    /unit_nodes/get_data_pipe_data/    200  1   3   +   +   1   3   +   3   +   3    14   a
DELETE /unit_nodes/delete_data_pipe_data/{uuid} 204 1 3 +  3   1   3   3   3   3   3    14
"""

PIPES = Entity(
    title="Data pipes and stored values",
    about="""Stored values and the file of a pipe's configuration are private, whatever the level of the node. The
node's own field `state`, its last value, is read by everybody who sees the node; `data_pipe_yml` is null for others
than its creator and its unit.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "POST /unit_nodes/check_data_pipe_config": lambda _, __: Call(
            "/unit_nodes/check_data_pipe_config", upload=_CONFIG
        ),
        "POST /unit_nodes/set_data_pipe_config": lambda s, _: Call(
            f"/unit_nodes/set_data_pipe_config?uuid={s.output}", upload=_CONFIG
        ),
        "GET /unit_nodes/get_data_pipe_config/{uuid}": lambda s, _: Call(
            f"/unit_nodes/get_data_pipe_config/{s.output}"
        ),
        "GET /unit_nodes/get_data_pipe_data/": lambda s, _: Call(
            f"/unit_nodes/get_data_pipe_data/?uuid={s.output}&type=LastValue"
        ),
        "DELETE /unit_nodes/delete_data_pipe_data/{uuid}": lambda s, _: Call(
            f"/unit_nodes/delete_data_pipe_data/{s.output}"
        ),
    },
    notes={
        "a": "An edge makes a permitted Unit only of who receives the node: the unit of the Input that it leads to."
    },
)
