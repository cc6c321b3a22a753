"""A README out of pepeunit.toml."""

import pytest

from pepeunit_gateway.errors import ReadmeGenerationError
from pepeunit_gateway.firmware.readme import MAX_CHARACTERS, render_readme

FULL = """
[installation]
steps = ["Flash it", "Start it"]

[work_algorithm]
steps = ["Connect to `WiFi`", '''Read
and publish''']

[topic_assignment]
"temp/pepeunit" = "degrees, `-40..80`"

[env_description]
PIN = "which | pin"

[physical_io]
"unit.env.PIN" = "the sensor"

[files]
"Data [sheet]" = "https://example.org/data sheet (1).pdf"

[models]
models = [{version = "v1", description = "the case", link = "https://example.org/case.stl"}]

[images]
schema = "https://example.org/schema.png"

[video]
video = {preview = "https://example.org/p.jpg", link = "https://example.org/v"}

[general]
authors = [{name = "Alice", email = "alice@example.org"}, {name = "Bob"}]
license = "MIT"
version = "1.2.3"
stack = ["pepeunit"]
firmware = [{name = "v1.24", link = "https://example.org/fw.bin"}]
hardware = ["esp32", "ds18b20"]
language = "MicroPython"
description = "a|b"
name = "Thermometer"
"""

EXPECTED = """\
# Thermometer

| Parameter | Implementation |
| -- | -- |
| Description | a\\|b |
| Language | `MicroPython` |
| Hardware | `esp32`, `ds18b20` |
| Firmware | [v1.24](https://example.org/fw.bin) |
| Stack | `pepeunit` |
| Version | 1.2.3 |
| License | MIT |
| Authors | Alice <alice@example.org>, Bob |

## Video

[![Video](https://example.org/p.jpg)](https://example.org/v)

## Schema

![schema](https://example.org/schema.png)

## Models

| Version | Description | Link |
| -- | -- | -- |
| v1 | the case | [download](https://example.org/case.stl) |

## Files

1. [Data \\[sheet\\]](https://example.org/data%20sheet%20%281%29.pdf)

## Physical IO

| Pin | Description |
| -- | -- |
| `unit.env.PIN` | the sensor |

## Env variable assignment

| Variable | Description |
| -- | -- |
| `PIN` | which \\| pin |

## Assignment of device topics

| Topic | Description |
| -- | -- |
| `temp/pepeunit` | degrees, `-40..80` |

## Work algorithm

1. Connect to `WiFi`
2. Read and publish

## Installation

1. Flash it
2. Start it
"""


def test_sections_come_in_their_order_whatever_the_order_of_the_file():
    assert render_readme(FULL.encode()) == EXPECTED


def test_what_is_not_there_is_left_out():
    assert render_readme(b'[general]\nname = "Lamp"\n') == "# Lamp\n"
    assert render_readme(b"") == "\n"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("[general]\nname = '" + "x" * 51 + "'", "general.name"),
        ("[general]\ndescription = '" + "x" * 401 + "'", "general.description"),
        ("[general]\nlanguage = '" + "x" * 51 + "'", "general.language"),
        ("[general]\nversion = '" + "x" * 31 + "'", "general.version"),
        ("[general]\nlicense = '" + "x" * 51 + "'", "general.license"),
        *(
            (f"[general]\n{key} = {['x'] * 31}", f"general.{key}")
            for key in ("hardware", "firmware", "stack", "authors")
        ),
        ("general = 1", "general"),
        ("[images]\na = 1979-05-27", "images.a"),
        ("[files]\na = 'javascript:alert(1)'", "begins with https://"),
        ("[general", "not TOML"),
        ("a = " + "9" * 4500, "not TOML"),
        ("a = " + "[" * 4000 + "]" * 4000, "nested too deeply"),
        ("# " + "x" * MAX_CHARACTERS, "10002 characters"),
    ],
)
def test_what_does_not_fit_is_named(document, said):
    with pytest.raises(ReadmeGenerationError) as caught:
        render_readme(document.encode())
    assert said in caught.value.message


def test_what_is_no_utf_8_is_refused():
    with pytest.raises(ReadmeGenerationError):
        render_readme(b"\xff")


def test_the_limit_counts_characters_not_bytes():
    assert render_readme(("# " + "ж" * (MAX_CHARACTERS - 2)).encode()) == "\n"
