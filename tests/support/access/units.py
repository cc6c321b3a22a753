"""Units as entities, and their tokens. By hand from protocol/rest.md 2.6, decisions.md 2, 12 and 16; W7."""

from itertools import count

from tests.support.access.table import LEVELS, Call, Caller, Entity, Subject, read_rows

__all__ = ["UNITS"]

_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /units                             201  1   ++3 +   +   1   ++3 3   3   3   3    14   a
POST   /units/batch                       201  1   ++3 +   +   1   ++3 3   3   3   3    14   a
GET    /units/{uuid}                      200  +11 ++3 +   +   1   +   +   ++3 +   3    44
GET    /units                             list +-- ++- +   +   1   +   +   ++- +   3    .
GET    /units                @with-nodes  list +-- ++- +   +   1   +   +   ++- +   3    .    b
PATCH  /units/{uuid}                      200  1   3   +   3   1   3   3   3   3   3    14
DELETE /units/{uuid}                      204  1   3   +   3   1   +   3   3   3   3    14
POST   /units/reissue_token/{uuid}        200  1   3   +   3   1   3   3   3   3   3    14
POST   /units/revoke_token/{uuid}         204  1   3   +   3   1   +   3   3   3   3    14
"""
_number = count(1)


def _body(subject: Subject) -> dict[str, object]:
    return {
        "repo_uuid": subject.repo,
        "visibility_level": "Private",
        "name": f"of-repo-{next(_number)}",
        "is_auto_update_from_repo_unit": True,
    }


def _batch(subject: Subject, _: Caller) -> Call:
    return Call("/units/batch", {"units": [_body(subject)]}, headers={"Idempotency-Key": f"batch-{next(_number)}"})


def _listed(subject: Subject, _: Caller) -> Call:
    path = f"/units?uuids={subject.unit}&is_include_output_unit_nodes=true"
    return Call(path, marker=subject.output)


UNITS = Entity(
    title="Units",
    about="""Of both POST the levels, the creator and the permissions are those of the Repo that the unit is made
of; of all else those of the unit.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "POST /units": lambda s, _: Call("/units", _body(s)),
        "POST /units/batch": _batch,
        "GET /units/{uuid}": lambda s, _: Call(f"/units/{s.unit}"),
        "GET /units": lambda s, _: Call(f"/units?uuids={s.unit}", marker=s.unit),
        "GET /units @with-nodes": _listed,
        "PATCH /units/{uuid}": lambda s, _: Call(f"/units/{s.unit}", {"name": f"renamed-{next(_number)}"}),
        "DELETE /units/{uuid}": lambda s, _: Call(f"/units/{s.unit}"),
        "POST /units/reissue_token/{uuid}": lambda s, _: Call(f"/units/reissue_token/{s.unit}"),
        "POST /units/revoke_token/{uuid}": lambda s, _: Call(f"/units/revoke_token/{s.unit}"),
    },
    destroys=frozenset({"DELETE /units/{uuid}", "POST /units/reissue_token/{uuid}", "POST /units/revoke_token/{uuid}"}),
    notes={
        "a": "A unit's archive holds the program, so an Admin, who only reads, makes none of another's Private Repo.",
        "b": "`is_include_output_unit_nodes` leaves out units without a visible node. *Permitted* is who has two "
        "permissions, on the unit and on a node of it.",
    },
)
