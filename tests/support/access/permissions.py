"""Permissions. By hand from protocol/rest.md 2.8, protocol/security.md 4.3, decisions.md 12 and 16; W2."""

from collections.abc import Callable

from tests.support.access.table import LEVELS, Call, Caller, Entity, Subject, read_rows

__all__ = ["PERMISSIONS"]

_TABLE = """
route                                       ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /permission               @Repo      201  1   3   +   3   1   3   3   3   3   3    14
POST   /permission               @Unit      201  1   3   +   3   1   3   3   3   3   3    14
POST   /permission               @UnitNode  201  1   3   +   3   1   3   3   3   3   3    14
GET    /permission/get_resource_agents @Repo     200 1 3 + 3   1   +   3   3   3   3      14
GET    /permission/get_resource_agents @Unit     200 1 3 + 3   1   +   3   3   3   3      14
GET    /permission/get_resource_agents @UnitNode 200 1 3 + 3   1   +   3   3   3   3      14
GET    /permission                          list 1   -   +   +   1   +   3   3   3   3    .    a
DELETE /permission/{anything}    @Repo      204  1   3   +   +   1   +   3   3   3   3    14   b
DELETE /permission/{anything}    @Unit      204  1   3   +   +   1   +   3   3   3   3    14   b
DELETE /permission/{anything}    @UnitNode  204  1   3   +   +   1   +   3   3   3   3    14   b
"""
_UUID: dict[str, Callable[[Subject], str]] = {
    "Repo": lambda s: s.repo,
    "Unit": lambda s: s.unit,
    "UnitNode": lambda s: s.output,
}


def _grant(kind: str) -> Callable[[Subject, Caller], Call]:
    def request(subject: Subject, _: Caller) -> Call:
        body = {
            "agent_uuid": subject.user,
            "agent_type": "User",
            "resource_uuid": _UUID[kind](subject),
            "resource_type": kind,
        }
        return Call("/permission", body)

    return request


def _agents(kind: str) -> Callable[[Subject, Caller], Call]:
    return lambda s, _: Call(f"/permission/get_resource_agents?resource_uuid={_UUID[kind](s)}&resource_type={kind}")


def _revoke(kind: str) -> Callable[[Subject, Caller], Call]:
    return lambda s, _: Call(f"/permission/x?agent_uuid={s.holder}&resource_uuid={_UUID[kind](s)}")


PERMISSIONS = Entity(
    title="Permissions",
    about="""Levels and creator are those of the Repo, Unit or UnitNode that is granted. The permission in question is
that of *permitted User*. What comes with an entity cannot be taken away, whoever asks (422): a creator's permission,
and a unit's on itself, on its Repo and on its own nodes.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        **{f"POST /permission @{kind}": _grant(kind) for kind in _UUID},
        **{f"GET /permission/get_resource_agents @{kind}": _agents(kind) for kind in _UUID},
        "GET /permission": lambda s, _: Call(
            f"/permission?agent_uuid={s.holder}&resource_uuid={s.unit}", marker=s.unit
        ),
        **{f"DELETE /permission/{{anything}} @{kind}": _revoke(kind) for kind in _UUID},
    },
    destroys=frozenset(f"DELETE /permission/{{anything}} @{kind}" for kind in _UUID),
    notes={
        "a": "A User's own permissions, and those on what they created.",
        "b": "The holder drops their own. Edges that were made with a permission stay until they are deleted.",
    },
)
