"""What belongs to one unit alone. By hand from protocol/rest.md 2.6 ("C/U"), decisions.md 2 and 16."""

from tests.support.access.table import LEVELS, Call, Entity, read_rows

__all__ = ["UNIT_FILES"]

_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
GET    /units/env/{uuid}                  200  1   3   +   3   1   3   +   3   3   3    14
PATCH  /units/env/{uuid}                  204  1   3   +   3   1   3   3   3   3   3    14
DELETE /units/env/{uuid}                  204  1   3   +   3   1   3   3   3   3   3    14
GET    /units/get_target_version/{uuid}   200  1   3   +   3   1   3   +   3   3   3    14
GET    /units/get_current_schema/{uuid}   200  1   3   +   3   1   3   +   3   3   3    14
GET    /units/firmware/zip/{uuid}         200  1   3   +   3   1   3   +   3   3   3    14
GET    /units/firmware/tar/{uuid}         200  1   3   +   3   1   3   +   3   3   3    14
GET    /units/firmware/tgz/{uuid}         200  1   3   +   3   1   3   +   3   3   3    14
POST   /units/set_state_storage/{uuid}    204  1   3   +   3   1   3   +   3   3   3    14
GET    /units/get_state_storage/{uuid}    200  1   3   +   3   1   3   +   3   3   3    14
POST   /units/send_command_to_input_base_topic/{uuid} 204 1 3 + 3  1   3   +   3   3   3    14
GET    /units/log_list/                   200  1   3   +   3   1   3   +   3   3   3    14
"""

UNIT_FILES = Entity(
    title="Private data of units",
    about="""For the creator and the unit itself: neither visibility nor a permission nor being an Admin opens it.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "GET /units/env/{uuid}": lambda s, _: Call(f"/units/env/{s.unit}"),
        "PATCH /units/env/{uuid}": lambda s, _: Call(f"/units/env/{s.unit}", {"env_json_string": "{}"}),
        "DELETE /units/env/{uuid}": lambda s, _: Call(f"/units/env/{s.unit}"),
        "GET /units/get_target_version/{uuid}": lambda s, _: Call(f"/units/get_target_version/{s.unit}"),
        "GET /units/get_current_schema/{uuid}": lambda s, _: Call(f"/units/get_current_schema/{s.unit}"),
        "GET /units/firmware/zip/{uuid}": lambda s, _: Call(f"/units/firmware/zip/{s.unit}"),
        "GET /units/firmware/tar/{uuid}": lambda s, _: Call(f"/units/firmware/tar/{s.unit}"),
        "GET /units/firmware/tgz/{uuid}": lambda s, _: Call(f"/units/firmware/tgz/{s.unit}"),
        "POST /units/set_state_storage/{uuid}": lambda s, _: Call(
            f"/units/set_state_storage/{s.unit}", {"state": "kept"}
        ),
        "GET /units/get_state_storage/{uuid}": lambda s, _: Call(f"/units/get_state_storage/{s.unit}"),
        "POST /units/send_command_to_input_base_topic/{uuid}": lambda s, _: Call(
            f"/units/send_command_to_input_base_topic/{s.unit}?command=EnvUpdate"
        ),
        "GET /units/log_list/": lambda s, _: Call(f"/units/log_list/?uuid={s.unit}"),
    },
)
