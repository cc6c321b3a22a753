"""`pepeunit repo …`: git branches that units follow. Source: decisions.md 27, protocol/rest.md 2.4 and 2.5."""

import sys
from typing import Annotated

import typer

from pepeunit_tools.client import kept_client
from pepeunit_tools.entities import Repo, Repository, Visibility
from pepeunit_tools.errors import RefusedError, RepositoryError
from pepeunit_tools.lookup import find_repo
from pepeunit_tools.registration import Credentials, address_problem, deregister, fetched
from pepeunit_tools.render import repo_problems, repo_table, show_json, show_table
from pepeunit_tools.webhook import webhook

__all__ = ["repo"]

repo = typer.Typer(no_args_is_help=True, help="Repos: git branches that units follow.")
repo.command("webhook")(webhook)

_CONFLICT = 409


@repo.command("add")
def add(
    url: Annotated[str, typer.Argument(help="The git repository's clone URL; it ends in .git.")],
    *,
    name: Annotated[str, typer.Option(help="4 to 20 letters, digits and the characters _ - .")],
    branch: Annotated[str, typer.Option(help="The branch to follow.")],
    visibility: Annotated[
        Visibility, typer.Option(help="Who sees the repo.", case_sensitive=False)
    ] = Visibility.PRIVATE,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="The repository needs credentials: stdin gives user name and token, a line each."
        ),
    ] = False,
    tags_only: Annotated[bool, typer.Option("--tags-only", help="Follow only commits that have a tag.")] = False,
) -> None:
    """Register a git repository, or fetch a registered one, and create a repo that follows one of its branches."""
    if problem := address_problem(url):
        raise typer.BadParameter(problem)
    client = kept_client()
    credentials = _credentials() if private else None
    repository, is_new = fetched(client, url, branch, credentials)
    body = {
        "repository_registry_uuid": repository.uuid,
        "default_branch": branch,
        "visibility_level": visibility,
        "name": name,
        "is_compilable_repo": False,
        "is_only_tag_update": tags_only,
    }
    try:
        made = Repo.read(client.entity("POST", "/repos", body=body))
    except RefusedError:
        if is_new:
            deregister(client, repository.uuid)
        raise
    typer.echo(f"repo {made.name} ({made.uuid}) follows {branch} of {repository.url}")


@repo.command("list")
def show(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the repos that you may see, and below them why the git repository of one cannot be fetched."""
    client = kept_client()
    rows = client.rows("/repos", "repos", {"order_by_create_date": "asc"})
    if as_json:
        show_json(rows)
        return
    repos = [Repo.read(row) for row in rows]
    known = [Repository.read(row) for row in client.rows("/repository_registry", "repositories_registry")]
    registered = {repository.uuid: repository for repository in known}
    show_table(repo_table(repos, {uuid: repository.url for uuid, repository in registered.items()}))
    for problem in repo_problems(repos, registered):
        typer.echo(problem)


@repo.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The repo's name.")]) -> None:
    """Remove a repo that no unit follows, and its git repository from the gateway if no other repo uses it."""
    client = kept_client()
    found = find_repo(client, name)
    try:
        client.call("DELETE", f"/repos/{found.uuid}")
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
        hint = "units follow it; remove them first: pepeunit unit list, pepeunit unit remove NAME"
        raise RepositoryError(f"repo {name} stays: {hint}", detail=error.detail) from None
    gone = deregister(client, found.repository)
    typer.echo(
        f"repo {found.name} is removed" + ("" if gone else "; its git repository stays: others use it or registered it")
    )


def _credentials() -> Credentials:
    if sys.stdin.isatty():
        username, token = typer.prompt("User name"), typer.prompt("Token", hide_input=True)
    else:
        username, token = (sys.stdin.readline().rstrip("\n") for _ in range(2))
    if not username or not token:
        raise typer.BadParameter(
            "stdin gives user name and token, a line each; neither may be empty", param_hint="--private"
        )
    return {"username": username, "pat_token": token}
