"""A git repository at the gateway: registered, or registered already and fetched again; and let go.

Source: protocol/rest.md 2.4.
"""

import re
from pathlib import Path

from pepeunit_tools.client import FETCH_LIMIT, Client
from pepeunit_tools.entities import Repository
from pepeunit_tools.errors import RefusedError, RepositoryError, ToolError
from pepeunit_tools.wording import plain

__all__ = ["Credentials", "address_problem", "deregister", "fetched"]

_REGISTRY = "/repository_registry"
_FORBIDDEN, _CONFLICT, _UNPROCESSABLE, _TOO_MANY = 403, 409, 422, 429
_SET = "set credentials that may read it"  # what the gateway advises
_SHOWN = 10  # of many branches
_TAKEN = " is registered already"
_THROTTLED = re.compile(r"less than ([0-9.]+) s ago")

Credentials = dict[str, str]


def address_problem(typed: str) -> str | None:
    """Return what to type instead of a path on this disk; None for everything else, the gateway judges that."""
    if "://" in typed or not (typed.startswith(("/", ".", "~")) or Path(typed).exists()):
        return None
    return f"{typed} is a path; give its address: {Path(typed).expanduser().resolve().as_uri()}"


def fetched(client: Client, url: str, branch: str, credentials: Credentials | None) -> tuple[Repository, bool]:
    """Return the repository, just fetched and with the branch, and whether this call registered it.

    What this call registered and is of no use, it removes again: a mistyped address or branch leaves nothing.

    Raises:
        RepositoryError: the gateway cannot fetch it, or it has no such branch; the message says when to try again.
    """
    body = {
        "platform": "Git",
        "repository_url": url,
        "is_public_repository": credentials is None,
        "credentials": credentials,
    }
    later, is_new = "", True
    try:
        found = Repository.read(client.entity("POST", _REGISTRY, body=body, time_limit=FETCH_LIMIT))
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
        found, later = _again(client, _registered(client, url, error), credentials)
        is_new = False
    if problem := _problem(found, branch, is_private=credentials is not None):
        if is_new:
            deregister(client, found.uuid)
        end = "nothing was registered" if is_new else f"mend that and run the command again{later}"
        raise RepositoryError(f"{problem}; {end}")
    return found, is_new


def deregister(client: Client, uuid: str) -> bool:
    """Remove a repository that no repo uses; False if others use it or it is somebody else's."""
    try:
        client.call("DELETE", f"{_REGISTRY}/{uuid}")
    except RefusedError as error:
        if error.status not in (_FORBIDDEN, _CONFLICT):
            raise
        return False
    return True


def _registered(client: Client, typed: str, refusal: ToolError) -> Repository:
    named, is_told, _ = refusal.message.partition(_TAKEN)
    url = named if is_told else typed  # the gateway keeps one spelling of an address
    listed = client.rows(_REGISTRY, "repositories_registry", {"search_string": url})
    found = next((one for one in map(Repository.read, listed) if one.url == url), None)
    if found is None:
        raise refusal
    return found


def _again(client: Client, known: Repository, credentials: Credentials | None) -> tuple[Repository, str]:
    """Fetch what is registered already; also return when to try again if it was fetched a moment ago, else ""."""
    later = ""
    path = f"{_REGISTRY}/update_local_repository/{known.uuid}"
    if credentials is not None:
        path = f"{_REGISTRY}/set_credentials/{known.uuid}"
    try:
        client.call("PATCH", path, body=credentials, time_limit=FETCH_LIMIT)
    except RefusedError as error:
        if error.status == _FORBIDDEN and credentials is None:
            raise RepositoryError(
                f"{error.message}; run the command again with --private", detail=error.detail
            ) from None
        interval = _THROTTLED.search(error.message)
        if interval is None or error.status not in (_UNPROCESSABLE, _TOO_MANY):
            raise
        if credentials is not None:  # they were not stored
            raise RepositoryError(f"{known.url} was fetched a moment ago; {_in(interval)}") from None
        later = f" (it was fetched a moment ago: {_in(interval)})"
    return Repository.read(client.entity("GET", f"{_REGISTRY}/{known.uuid}")), later


def _in(interval: re.Match[str]) -> str:
    return f"try again in {interval[1]} s"


def _problem(repository: Repository, branch: str, *, is_private: bool) -> str | None:
    """Say why no repo can follow the branch, if so."""
    if repository.status != "Updated":
        advice = (
            "check the user name and the token" if is_private else "add --private, which asks for a name and a token"
        )
        reason = plain(repository.problem or f"its state is {repository.status}").replace(_SET, advice)
        return f"the gateway cannot fetch {repository.url}: {reason}"
    if branch not in repository.branches:
        nothing = "none, it is empty or your credentials do not open it" if is_private else "none, it is empty"
        there = plain(", ".join(repository.branches[:_SHOWN])) or nothing
        return f"{repository.url} has no branch {plain(branch)}; its branches: {there}"
    return None
