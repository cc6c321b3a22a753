"""`pepeunit login`: exchange a password for a token and keep that. Source: decisions.md 27, protocol/rest.md 2.3."""

import os
import sys
from typing import Annotated

import typer

from pepeunit_tools.client import Client
from pepeunit_tools.errors import RefusedError, ToolError, UnexpectedAnswerError
from pepeunit_tools.session import KeptLogin, api_url, forget, login_file, save

__all__ = ["log_in"]

_NOT_THERE = (404, 405)


def log_in(
    url: Annotated[str | None, typer.Argument(help="The gateway's address, like http://127.0.0.1:8080.")] = None,
    *,
    login: Annotated[str | None, typer.Option("--login", help="Your login on this gateway.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    logout: Annotated[bool, typer.Option("--logout", help="Forget the kept login.")] = False,
) -> None:
    """Log in to a gateway; the login is kept for the commands unit, repo and node."""
    path = login_file(os.environ)
    if logout:
        typer.echo("logged out" if forget(path) else "there was no login")
        return
    if url is None or login is None:
        raise typer.BadParameter("give both: pepeunit login URL --login NAME")
    try:
        base = api_url(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    token = _token(base, login, _password(from_stdin=password_stdin))
    save(path, KeptLogin(base, login, token))
    typer.echo(f"logged in to {base} as {login}")


def _token(base: str, login: str, password: str) -> str:
    """Exchange the password for a token; an address that leads elsewhere is said with the form it should have."""
    try:
        answer = Client(base).entity("POST", "/users/auth", body={"credentials": login, "password": password})
        token = answer.get("token")
    except (RefusedError, UnexpectedAnswerError) as error:
        if isinstance(error, RefusedError) and error.status not in _NOT_THERE:
            raise
        token = None
    if not isinstance(token, str):
        raise ToolError(f"there is no Pepeunit API at {base}; give only http://HOST:PORT, as the gateway's start said")
    return token


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for the password; use --password-stdin")
    return str(typer.prompt("Password", hide_input=True))
