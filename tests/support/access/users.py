"""Users, named tokens and the audit trail. By hand from protocol/rest.md 2.3, decisions.md 4, 12, 16 and 17."""

from itertools import count

from tests.support.access.table import Call, Entity, read_rows

__all__ = ["USERS"]

_LEVELS = ("",)
_PASSWORD = "battery-staple-7"
_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /users                             201  1   3   3   3   1   +   3   3   3   3    .    a
POST   /users/auth                        200  +   3   3   3   1   3   3   3   3   3    .    b
GET    /users/{uuid}                      200  1   +   +   +   1   +   3   3   3   3    14
GET    /users                             list 1   +   +   +   1   +   3   3   3   3    .
PATCH  /users/{uuid}                      200  1   +   +   +   1   +   3   3   3   3    1+   c
PATCH  /users/block/{uuid}                204  1   3   3   3   1   +   3   3   3   3    13
PATCH  /users/unblock/{uuid}              204  1   3   3   3   1   +   3   3   3   3    13
DELETE /users/{uuid}                      204  1   3   +   3   1   +   3   3   3   3    14   d
GET    /users/generate_verification_link/ 405  1   +   +   +   1   +   3   3   3   3    .    e
POST   /tokens                            201  1   +   +   +   1   +   3   3   3   3    .
GET    /tokens                            list 1   -   +   -   1   -   3   3   3   3    .    f
DELETE /tokens/{uuid}                     204  1   4   +   4   1   4   3   3   3   3    14   f
GET    /audit                             200  1   3   3   3   1   +   3   3   3   3    .
"""
_number = count(1)

USERS = Entity(
    title="Users, their tokens, and the audit trail",
    about="""*Creator* is the user themself. Users have no level and nobody is granted anything on them.""",
    kind="user",
    levels=_LEVELS,
    rows=read_rows(_TABLE, _LEVELS),
    requests={
        "POST /users": lambda _, __: Call("/users", {"login": f"made-{next(_number)}", "password": _PASSWORD}),
        "POST /users/auth": lambda s, _: Call("/users/auth", {"credentials": s.login, "password": s.password}),
        "GET /users/{uuid}": lambda s, _: Call(f"/users/{s.user}"),
        "GET /users": lambda s, _: Call(f"/users?uuids={s.user}", marker=s.user),
        "PATCH /users/{uuid}": lambda s, _: Call(f"/users/{s.user}", {}),
        "PATCH /users/block/{uuid}": lambda s, _: Call(f"/users/block/{s.user}"),
        "PATCH /users/unblock/{uuid}": lambda s, _: Call(f"/users/unblock/{s.user}"),
        "DELETE /users/{uuid}": lambda s, _: Call(f"/users/{s.user}"),
        "GET /users/generate_verification_link/": lambda _, __: Call("/users/generate_verification_link/"),
        "POST /tokens": lambda _, __: Call("/tokens", {"name": f"token-{next(_number)}", "scope": "Read"}),
        "GET /tokens": lambda s, _: Call("/tokens", marker=s.token),
        "DELETE /tokens/{uuid}": lambda s, _: Call(f"/tokens/{s.token}"),
        "GET /audit": lambda s, _: Call(f"/audit?subject_uuid={s.user}"),
    },
    destroys=frozenset(
        {"PATCH /users/block/{uuid}", "PATCH /users/unblock/{uuid}", "DELETE /users/{uuid}", "DELETE /tokens/{uuid}"}
    ),
    notes={
        "a": "With `PU_REGISTRATION=closed`, the default. With `open` Bot may, too.",
        "b": "Who holds a valid token has no need to log in.",
        "c": "Always the caller is changed, whatever the path says.",
        "d": "The last Admin stays, and so does a user whose Repos have units of other people (409).",
        "e": "There is no bot to link with.",
        "f": "Only one's own tokens; those of others are not there.",
    },
)
