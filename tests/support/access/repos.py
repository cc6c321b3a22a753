"""Repos. By hand from protocol/rest.md 2.5, protocol/security.md 4.1-4.4, decisions.md 2 and 16."""

from tests.support.access.table import LEVELS, Call, Entity, read_rows

__all__ = ["REPOS"]

_TABLE = """
route                                     ok   Bot str cre per blo Adm uni oth puU Bck  none
GET    /repos/{uuid}                      200  +11 ++3 +   +   1   +   +   ++3 +   3    44
GET    /repos                             list +-- ++- +   +   1   +   +   ++- +   3    .
GET    /repos/available_platforms/{uuid}  200  1   ++3 +   +   1   +   3   3   3   3    14
GET    /repos/versions/{uuid}             200  +11 ++3 +   +   1   +   +   ++3 +   3    44
PATCH  /repos/{uuid}                      200  1   3   +   3   1   3   3   3   3   3    14
PATCH  /repos/update_units_firmware/{uuid} 204 1   3   +   3   1   3   3   3   3   3    14
DELETE /repos/{uuid}                      204  1   3   +   3   1   +   3   3   3   3    14
"""

REPOS = Entity(
    title="Repos",
    about="""*Unit itself* is a unit of the Repo. Making a Repo is a matter of its repository, see above; making a unit
of it is under Units.""",
    kind="entities",
    levels=LEVELS,
    rows=read_rows(_TABLE, LEVELS),
    requests={
        "GET /repos/{uuid}": lambda s, _: Call(f"/repos/{s.repo}"),
        "GET /repos": lambda s, _: Call(f"/repos?uuids={s.repo}", marker=s.repo),
        "GET /repos/available_platforms/{uuid}": lambda s, _: Call(f"/repos/available_platforms/{s.repo}"),
        "GET /repos/versions/{uuid}": lambda s, _: Call(f"/repos/versions/{s.repo}"),
        "PATCH /repos/{uuid}": lambda s, _: Call(f"/repos/{s.repo}", {"is_auto_update_repo": True}),
        "PATCH /repos/update_units_firmware/{uuid}": lambda s, _: Call(f"/repos/update_units_firmware/{s.repo}"),
        "DELETE /repos/{uuid}": lambda s, _: Call(f"/repos/{s.bare_repo}"),
    },
    destroys=frozenset({"DELETE /repos/{uuid}"}),
)
