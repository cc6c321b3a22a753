"""The README of a unit program. Source: protocol/rest.md 2.6, protocol/validation.md 10."""

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Sample, Token, Upload
from pepeunit_gateway.errors import NoAccessError, ReadmeGenerationError
from pepeunit_gateway.firmware.readme import MAX_CHARACTERS, render_readme

__all__ = ["routes"]

routes = RouteTable("/units", tag="README", about="A program's description as text.", entity="unit")

_BYTES = MAX_CHARACTERS * 4
_DOCUMENT = Sample(
    description="The field `file` holds pepeunit.toml in UTF-8: `curl -F file=@pepeunit.toml …`",
    media="application/toml",
    text="""\
[general]
name = "Thermometer"
description = "Reports the temperature of a room"
language = "MicroPython"
hardware = ["esp32", "ds18b20"]
firmware = [{name = "v1.24", link = "https://micropython.org/download/ESP32_GENERIC/"}]
version = "1.0.0"
authors = [{name = "Alice", email = "alice@example.org"}]

[env_description]
PUBLISH_SEND_INTERVAL = "seconds between two reports"

[topic_assignment]
"temperature/pepeunit" = "degrees, for example `21.5`"

[installation]
steps = ["Flash MicroPython", "Copy the program"]
""",
)


@routes.post(
    "/convert_toml_to_md",
    token=Token.REQUIRED,
    media=Media.MARKDOWN,
    reading=True,
    max_body=_BYTES,
    sample=_DOCUMENT,
    errors=(
        NoAccessError("only a User may do this"),
        ReadmeGenerationError("general.name: String should have at most 50 characters"),
    ),
)
async def convert_toml_to_md(agent: Agent, file: Upload) -> Download:
    """Make the README of a program from its pepeunit.toml."""
    require_user(agent)
    return Download(render_readme(file.content).encode(), Media.MARKDOWN)
