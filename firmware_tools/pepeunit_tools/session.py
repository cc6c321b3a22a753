"""The kept login: which gateway, who, and the token, in one file that only its owner may read.

`$XDG_CONFIG_HOME/pepeunit/login.json`, else `~/.config/pepeunit/login.json`; folder 0700, file 0600.
Source: decisions.md 27.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pepeunit_tools.errors import LoginFileError, NotLoggedInError

__all__ = ["API_PATH", "KeptLogin", "api_url", "forget", "load", "login_file", "save"]

API_PATH = "/pepeunit/api/v1"
"""Where the API lies unless the operator moved it with PU_APP_PREFIX."""

_PARENTS = ("", "/pepeunit", "/pepeunit/api")

_FOLDER_MODE = 0o700
_PAGES = ("/docs", "/openapi.json")
"""Addresses that a gateway's start block and its page show, and that people copy."""


@dataclass(frozen=True)
class KeptLogin:
    """`url` is the API's base without a slash at its end; the token never shows in a repr."""

    url: str
    login: str
    token: str = field(repr=False)


def api_url(typed: str) -> str:
    """Return the base URL of the API at the address a person typed; without a path the usual one is added.

    The address of the gateway's page or of its OpenAPI document leads to its API too.

    Raises:
        ValueError: that is no http or https address, or it holds more than one.
    """
    try:
        parts = urlsplit(typed)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not typed.isascii() or not typed.isprintable() or any(mark in typed for mark in " @?#\\"):
        raise ValueError("give the gateway's address, like http://127.0.0.1:8080 or https://pepeunit.example.org")
    return f"{parts.scheme}://{parts.netloc}{_api_path(parts.path.rstrip('/'))}"


def _api_path(typed: str) -> str:
    for page in _PAGES:
        typed = typed.removesuffix(page)
    return API_PATH if typed in _PARENTS else typed


def login_file(environ: Mapping[str, str]) -> Path:
    """Return where the login is kept; a relative XDG_CONFIG_HOME counts as unset, as its specification asks.

    Raises:
        LoginFileError: there is no home folder.
    """
    configured = Path(environ.get("XDG_CONFIG_HOME", ""))
    if not configured.is_absolute():
        try:
            configured = Path.home() / ".config"
        except RuntimeError:
            raise LoginFileError("there is no home folder to keep the login in; set XDG_CONFIG_HOME") from None
    return configured / "pepeunit" / "login.json"


def save(path: Path, login: KeptLogin) -> None:
    """Keep the login, in place of an earlier one; it is written beside and renamed.

    Raises:
        LoginFileError: the disk or the folder's owner refuses.
    """
    content = json.dumps({"url": login.url, "login": login.login, "token": login.token}, indent=2)
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        path.parent.chmod(_FOLDER_MODE)
        handle, name = tempfile.mkstemp(prefix=".login-", dir=path.parent)  # made with mode 0600
        beside = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content + "\n")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LoginFileError(f"cannot write {path}: {error.strerror}; set XDG_CONFIG_HOME to another folder") from None


def load(path: Path) -> KeptLogin:
    """Return the kept login.

    Raises:
        NotLoggedInError: there is none.
        LoginFileError: it cannot be read, or is not what `save` wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        login = KeptLogin(api_url(content["url"]), str(content["login"]), content["token"])
        usable = login.token.isascii() and login.token.isprintable() and " " not in login.token
    except FileNotFoundError:
        raise NotLoggedInError from None
    except OSError as error:
        raise LoginFileError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):  # ValueError: no UTF-8, no JSON, no address
        usable = False
    if not usable:
        raise LoginFileError(f"{path} is broken; run again: pepeunit login URL --login NAME") from None
    return login


def forget(path: Path) -> bool:
    """Delete the kept login; False if there was none.

    Raises:
        LoginFileError: the folder's owner refuses.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LoginFileError(f"cannot delete {path}: {error.strerror}") from None
    return True
