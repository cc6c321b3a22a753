"""`pepeunit repo webhook`: let a git server tell the gateway of pushes. Source: decisions.md 12 and 27."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import typer

from pepeunit_tools.client import Client, Row, kept_client
from pepeunit_tools.entities import Repository
from pepeunit_tools.errors import RefusedError, RepositoryError
from pepeunit_tools.lookup import find_repo
from pepeunit_tools.render import show_json
from pepeunit_tools.wording import plain

__all__ = ["webhook"]

_FORBIDDEN = 403
_WHERE = """
Paste them once:
  GitHub          Settings, Webhooks, Add webhook: Payload URL, Secret; content type application/json
  GitLab          Settings, Webhooks, Add new webhook: URL, Secret token; push events, tag push events
  Gitea, Forgejo  Settings, Webhooks, Add webhook: Target URL, Secret
  other servers   hooks/post-receive of the bare repository; docs/webhooks.md has the script"""


def webhook(
    name: Annotated[str, typer.Argument(help="The repo's name.")],
    *,
    off: Annotated[bool, typer.Option("--off", help="Take no more notices of pushes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the secret with which a git server tells of pushes, so that units follow at once; --off ends it.

    A secret that was made before counts no more. Repos of one git repository share it.
    """
    client = kept_client()
    found = find_repo(client, name)
    path = f"/repository_registry/webhook/{found.repository}"
    if off:
        _ask(client, "DELETE", path, name)
        typer.echo(f"pushes to the git repository of {plain(name)} are noticed by looking, as before")
        return
    made = _ask(client, "POST", path, name)
    if as_json:
        show_json(made)
        return
    repository = Repository.read(client.entity("GET", f"/repository_registry/{found.repository}"))
    typer.echo("\n".join(_shown(repository, str(made.get("url")), str(made.get("secret")))))


def _ask(client: Client, method: str, path: str, name: str) -> Row:
    try:
        answer = client.call(method, path)
    except RefusedError as error:
        if error.status != _FORBIDDEN:
            raise
        who = "who registered its git repository, and an Admin, may do this" if method == "DELETE" else ""
        who = who or "only who registered its git repository may do this"
        raise RepositoryError(f"repo {name}: {who}", detail=error.detail) from None
    return answer if isinstance(answer, dict) else {}


def _shown(repository: Repository, url: str, secret: str) -> Iterator[str]:
    yield f"webhook of {plain(repository.url)}"
    yield f"url     {plain(url)}"
    yield f"secret  {plain(secret)}   (shown this once)"
    yield _WHERE
    if _is_near(url):
        yield "\nThat address is of a private network: a git server elsewhere cannot reach it (PU_DOMAIN)."


def _is_near(url: str) -> bool:
    """Tell whether only this machine or its network reaches an address; of a name that is not known here."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
