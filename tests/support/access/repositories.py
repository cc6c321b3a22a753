"""Repository registry, and making Repos of its entries. By hand from protocol/rest.md 2.4 and 2.5, security.md 4.1."""

import hmac
from itertools import count

from tests.support.access.table import Call, Caller, Entity, Subject, read_rows

__all__ = ["REPOSITORIES"]

_LEVELS = ("public", "private")
_TABLE = """
route                                                  ok   Bot str cre per blo Adm uni oth puU Bck  none
POST   /repository_registry                            201  1   +   +   +   1   +   3   3   3   3    .
GET    /repository_registry/{uuid}                     200  +1  +   +   +   1   +   +   +   +   3    44   a
GET    /repository_registry                            list +-  +   +   +   1   +   +   +   +   3    .    a
GET    /repository_registry/branch_commits/{uuid}      200  1   +3  +   +   1   +3  3   3   3   3    14
PATCH  /repository_registry/set_credentials/{uuid}     204  1   2+  2+  2+  1   2+  3   3   3   3    14   b
GET    /repository_registry/get_credentials/{uuid}     200  1   2+  2+  2+  1   2+  3   3   3   3    14   b
PATCH  /repository_registry/update_local_repository/{uuid} 204 1 +3  +   +   1   +3  3   3   3   3    14
DELETE /repository_registry/{uuid}                     204  1   3   +   3   1   +   3   3   3   3    14
POST   /repository_registry/webhook/{uuid}             201  1   3   +   3   1   3   3   3   3   3    14
DELETE /repository_registry/webhook/{uuid}             204  1   3   +   3   1   +   3   3   3   3    14
POST   /webhooks/{uuid}                                202  +   +   +   +   +   +   +   +   +   +    11   c
POST   /repos                                          201  1   +3  +   +   1   +3  3   3   3   3    14
"""
_number = count(1)


def _new_repository(subject: Subject, _: Caller) -> Call:
    url = (
        f"http://127.0.0.1:9/none-{next(_number)}.git"  # the discard port: fetching fails at once, which is no failure
    )
    body = {"platform": "Git", "repository_url": url, "is_public_repository": subject.level == "public"}
    if subject.level == "private":
        body["credentials"] = {"username": "robot", "pat_token": "right-token"}
    return Call("/repository_registry", body)


def _push(subject: Subject, _: Caller) -> Call:
    signature = hmac.new(subject.webhook.encode(), b"null", "sha256").hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    return Call(f"/webhooks/{subject.bare_registry}", raw=b"null", headers=headers)


def _new_repo(subject: Subject, _: Caller) -> Call:
    body = {
        "repository_registry_uuid": subject.registry,
        "default_branch": "main",
        "visibility_level": "Public",
        "name": f"of-registry-{next(_number)}",
        "is_compilable_repo": False,
    }
    return Call("/repos", body)


REPOSITORIES = Entity(
    title="Repositories",
    about="""A repository is `public` or `private`, as it was registered. Of a private one *permitted User* is who has
stored credentials of their own that worked; its *creator* has them too. No permission and no role stands in for them:
git's server decides. *Unit itself* is a unit that runs a program of the repository.""",
    kind="repository",
    levels=_LEVELS,
    rows=read_rows(_TABLE, _LEVELS),
    requests={
        "POST /repository_registry": _new_repository,
        "GET /repository_registry/{uuid}": lambda s, _: Call(f"/repository_registry/{s.registry}"),
        "GET /repository_registry": lambda s, _: Call(f"/repository_registry?uuids={s.registry}", marker=s.registry),
        "GET /repository_registry/branch_commits/{uuid}": lambda s, _: Call(
            f"/repository_registry/branch_commits/{s.registry}?repo_branch=main"
        ),
        "PATCH /repository_registry/set_credentials/{uuid}": lambda s, _: Call(
            f"/repository_registry/set_credentials/{s.bare_registry}", {"username": "somebody", "pat_token": "wrong"}
        ),
        "GET /repository_registry/get_credentials/{uuid}": lambda s, _: Call(
            f"/repository_registry/get_credentials/{s.registry}"
        ),
        "PATCH /repository_registry/update_local_repository/{uuid}": lambda s, _: Call(
            f"/repository_registry/update_local_repository/{s.registry}"
        ),
        "DELETE /repository_registry/{uuid}": lambda s, _: Call(f"/repository_registry/{s.bare_registry}"),
        "POST /repository_registry/webhook/{uuid}": lambda s, _: Call(
            f"/repository_registry/webhook/{s.bare_registry}"
        ),
        "DELETE /repository_registry/webhook/{uuid}": lambda s, _: Call(
            f"/repository_registry/webhook/{s.bare_registry}"
        ),
        "POST /webhooks/{uuid}": _push,
        "POST /repos": _new_repo,
    },
    destroys=frozenset(
        {
            "DELETE /repository_registry/{uuid}",
            "POST /repository_registry/webhook/{uuid}",
            "DELETE /repository_registry/webhook/{uuid}",
        }
    ),
    notes={
        "a": "Of a private repository everybody with a token sees the address and whether the last fetch went well. "
        "`branches` is empty and `releases_data` null for who has no valid credentials of their own, units and Admins "
        "too; so is `sync_error`, but for the creator.",
        "b": "Only the caller's own credentials. A public repository takes none.",
        "c": "No token is looked at: the body is signed with the secret of the webhook. Without that it is 401.",
    },
)
