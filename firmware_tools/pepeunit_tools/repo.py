"""`pepeunit repo …`: git branches that units follow. Source: decisions.md 27, protocol/rest.md 2.4 and 2.5."""

import sys
from typing import Annotated

import typer

from pepeunit_tools.client import FETCH_LIMIT, Client, kept_client
from pepeunit_tools.entities import Repo, Repository, Visibility
from pepeunit_tools.errors import RefusedError, RepositoryError
from pepeunit_tools.render import repo_table, show_json, show_table
from pepeunit_tools.wording import plain

__all__ = ["repo"]

repo = typer.Typer(no_args_is_help=True, help="Repos: git branches that units follow.")

_CONFLICT = 409
_REGISTRY = "/repository_registry"
Credentials = dict[str, str]


@repo.command("add")
def add(
    url: Annotated[str, typer.Argument(help="The git repository's clone URL; it ends in .git.")],
    *,
    name: Annotated[str, typer.Option(help="4 to 20 letters, digits and the characters _ - .")],
    branch: Annotated[str, typer.Option(help="The branch to follow.")],
    visibility: Annotated[Visibility, typer.Option(help="Who sees the repo.")] = Visibility.PRIVATE,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="The repository needs credentials: stdin gives user name and token, a line each."
        ),
    ] = False,
    tags_only: Annotated[bool, typer.Option("--tags-only", help="Follow only commits that have a tag.")] = False,
) -> None:
    """Register a git repository, or reuse it, and create a repo that follows one of its branches."""
    client = kept_client()
    credentials = _credentials() if private else None
    repository = _register(client, url, credentials)
    body = {
        "repository_registry_uuid": repository.uuid,
        "default_branch": branch,
        "visibility_level": visibility,
        "name": name,
        "is_compilable_repo": False,
        "is_only_tag_update": tags_only,
    }
    made = Repo.read(client.entity("POST", "/repos", body=body))
    typer.echo(f"repo {made.name} ({made.uuid}) follows {branch} of {repository.url}")


@repo.command("list")
def show(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the repos that you may see."""
    client = kept_client()
    rows = client.rows("/repos", "repos", {"order_by_create_date": "asc"})
    if as_json:
        show_json(rows)
        return
    registered = [Repository.read(row) for row in client.rows(_REGISTRY, "repositories_registry")]
    addresses = {repository.uuid: repository.url for repository in registered}
    show_table(repo_table([Repo.read(row) for row in rows], addresses))


def _credentials() -> Credentials:
    if sys.stdin.isatty():
        username, token = typer.prompt("User name"), typer.prompt("Token", hide_input=True)
    else:
        username, token = (sys.stdin.readline().rstrip("\n") for _ in range(2))
    return {"username": username, "pat_token": token}


def _register(client: Client, url: str, credentials: Credentials | None) -> Repository:
    """Return the repository, fetched.

    Raises:
        RepositoryError: the gateway cannot fetch it; it stays registered, and the next call tries again.
    """
    body = {
        "platform": "Git",
        "repository_url": url,
        "is_public_repository": credentials is None,
        "credentials": credentials,
    }
    try:
        found = Repository.read(client.entity("POST", _REGISTRY, body=body, time_limit=FETCH_LIMIT))
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
        found = _reuse(client, url, credentials, error)
    if found.status != "Updated":
        reason = plain(found.problem or f"its state is {found.status}")
        raise RepositoryError(f"the gateway cannot fetch {url}: {reason}; mend that and run the command again")
    return found


def _reuse(client: Client, url: str, credentials: Credentials | None, refusal: RefusedError) -> Repository:
    """Return the repository that is registered already; with new credentials, or after a failure, it is fetched now."""
    listed = client.rows(_REGISTRY, "repositories_registry", {"search_string": url})
    found = next((one for one in map(Repository.read, listed) if one.url == url), None)
    if found is None:
        raise refusal
    if credentials is not None:
        path = f"{_REGISTRY}/set_credentials/{found.uuid}"
        client.call("PATCH", path, body=credentials, time_limit=FETCH_LIMIT)
    elif found.status != "Updated":
        client.call("PATCH", f"{_REGISTRY}/update_local_repository/{found.uuid}", time_limit=FETCH_LIMIT)
    else:
        return found
    return Repository.read(client.entity("GET", f"{_REGISTRY}/{found.uuid}"))
