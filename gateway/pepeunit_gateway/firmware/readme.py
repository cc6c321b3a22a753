"""From pepeunit.toml, which describes a unit program, to its README.

The same document gives the same text. Texts may hold inline Markdown; what would end a table's cell or a line is
escaped. Source: protocol/validation.md 10.
"""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic import ValidationError as PydanticError

from pepeunit_gateway.errors import ReadmeGenerationError

__all__ = ["MAX_CHARACTERS", "render_readme"]

MAX_CHARACTERS = 10_000
"""Of the document."""

_MOST = 30
_URL_SAFE = "/:?#[]@!$&'*+,;=%~"
_LINE = str.maketrans({"\n": " ", "\r": " "})
_CELL = str.maketrans({"\n": " ", "\r": " ", "|": "\\|"})


def _check_link(link: str) -> str:
    if urlsplit(link).scheme.lower() not in ("", "http", "https"):
        raise ValueError("a link begins with https:// or http://")
    return link


_Link = Annotated[str, AfterValidator(_check_link)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Named(_Part):
    name: str
    link: _Link


class _Author(_Part):
    name: str
    email: str | None = None


class _General(_Part):
    name: str | None = Field(default=None, max_length=50)
    description: str | None = Field(default=None, max_length=400)
    language: str | None = Field(default=None, max_length=50)
    hardware: list[str | _Named] = Field(default_factory=list, max_length=_MOST)
    firmware: list[str | _Named] = Field(default_factory=list, max_length=_MOST)
    stack: list[str | _Named] = Field(default_factory=list, max_length=_MOST)
    version: str | None = Field(default=None, max_length=30)
    license: str | None = Field(default=None, max_length=50)
    authors: list[str | _Author] = Field(default_factory=list, max_length=_MOST)


class _Clip(_Part):
    preview: _Link
    link: _Link


class _Video(_Part):
    video: _Clip | None = None


class _Model(_Part):
    version: str = ""
    description: str = ""
    link: _Link


class _Models(_Part):
    models: list[_Model] = Field(default_factory=list)


class _Steps(_Part):
    steps: list[str] = Field(default_factory=list)


class _Document(_Part):
    general: _General = _General()
    video: _Video = _Video()
    images: dict[str, _Link] = Field(default_factory=dict)
    models: _Models = _Models()
    files: dict[str, _Link] = Field(default_factory=dict)
    physical_io: dict[str, str] = Field(default_factory=dict)
    env_description: dict[str, str] = Field(default_factory=dict)
    topic_assignment: dict[str, str] = Field(default_factory=dict)
    work_algorithm: _Steps = _Steps()
    installation: _Steps = _Steps()


def render_readme(content: bytes) -> str:
    """Return the Markdown of a TOML document; sections that are not there are left out.

    Raises:
        ReadmeGenerationError: it is too long, no TOML in UTF-8, or a value does not fit; the message names it.
    """
    document = _parse(content)
    sections = [
        *_general(document.general),
        *_video(document.video),
        *(_section(_capital(name), f"![{_label(name)}]({_target(link)})") for name, link in document.images.items()),
        *_models(document.models.models),
        *_numbered("Files", [f"[{_label(name)}]({_target(link)})" for name, link in document.files.items()]),
        *_assignments("Physical IO", "Pin", document.physical_io),
        *_assignments("Env variable assignment", "Variable", document.env_description),
        *_assignments("Assignment of device topics", "Topic", document.topic_assignment),
        *_numbered("Work algorithm", document.work_algorithm.steps),
        *_numbered("Installation", document.installation.steps),
    ]
    return "\n\n".join(sections) + "\n"


def _parse(content: bytes) -> _Document:
    try:
        text = content.decode()
        if len(text) > MAX_CHARACTERS:
            raise ReadmeGenerationError(f"the file has {len(text)} characters; at most {MAX_CHARACTERS} are read")
        return _Document.model_validate(tomllib.loads(text))
    except PydanticError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ReadmeGenerationError(f"{where}: {problem['msg'].removeprefix('Value error, ')}") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ReadmeGenerationError(f"the file is not TOML in UTF-8: {reason}") from None


def _line(text: str) -> str:
    return text.translate(_LINE).strip()


def _cell(text: str) -> str:
    return text.translate(_CELL).strip()


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _label(text: str) -> str:
    return _line(text).replace("[", "\\[").replace("]", "\\]")


def _target(link: str) -> str:
    return quote(link.strip(), safe=_URL_SAFE)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _section(title: str, body: str) -> str:
    return f"## {_line(title)}\n\n{body}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("--",) * len(head), *(tuple(_cell(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _entries(values: Iterable[str | _Named], *, coded: bool) -> str:
    plain = _code if coded else str
    return ", ".join(
        plain(value) if isinstance(value, str) else f"[{_label(value.name)}]({_target(value.link)})" for value in values
    )


def _author(author: str | _Author) -> str:
    if isinstance(author, str):
        return author
    return author.name if author.email is None else f"{author.name} <{author.email}>"


def _general(general: _General) -> Iterable[str]:
    if general.name:
        yield f"# {_line(general.name)}"
    rows = [
        ("Description", general.description),
        ("Language", general.language and _code(general.language)),
        ("Hardware", _entries(general.hardware, coded=True)),
        ("Firmware", _entries(general.firmware, coded=False)),
        ("Stack", _entries(general.stack, coded=True)),
        ("Version", general.version),
        ("License", general.license),
        ("Authors", ", ".join(_author(author) for author in general.authors)),
    ]
    filled = [(name, text) for name, text in rows if text]
    if filled:
        yield _table(("Parameter", "Implementation"), filled)


def _video(video: _Video) -> Iterable[str]:
    if video.video is not None:
        yield _section("Video", f"[![Video]({_target(video.video.preview)})]({_target(video.video.link)})")


def _models(models: list[_Model]) -> Iterable[str]:
    if models:
        rows = [(model.version, model.description, f"[download]({_target(model.link)})") for model in models]
        yield _section("Models", _table(("Version", "Description", "Link"), rows))


def _assignments(title: str, what: str, values: Mapping[str, str]) -> Iterable[str]:
    if values:
        yield _section(title, _table((what, "Description"), [(_code(name), text) for name, text in values.items()]))


def _numbered(title: str, lines: list[str]) -> Iterable[str]:
    if lines:
        yield _section(title, "\n".join(f"{number}. {_line(line)}" for number, line in enumerate(lines, 1)))
