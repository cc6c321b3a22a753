"""The documents: what can be compared with the code is compared."""

import ast
import json
import re
from pathlib import Path

import pytest

from pepeunit_gateway.api import server
from pepeunit_gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EXAMPLE = ROOT / "docs" / "examples" / "thermometer"


def documented_settings() -> dict[str, str]:
    rows = re.findall(r"^\| `(PU_[A-Z0-9_]+)` \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    return dict(rows)


def test_the_page_of_settings_names_every_setting_and_no_other() -> None:
    assert set(documented_settings()) == {f"PU_{name.upper()}" for name in Settings.model_fields}


def test_the_page_of_settings_gives_the_defaults_that_are_in_force() -> None:
    for name, field in Settings.model_fields.items():
        default = field.default
        written = documented_settings()[f"PU_{name.upper()}"].strip("`")
        if isinstance(default, bool):
            assert written == str(default).lower(), name
        elif isinstance(default, int | float):
            assert float(written) == default, name
        elif isinstance(default, str) and default:
            assert written == default, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_points_to_exists(page: Path) -> None:
    text = page.read_text()
    linked = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    named = re.findall(r"`((?:docs|tests|\.ci)/[\w./-]+)`", text)
    for target in linked:
        assert (page.parent / target).exists(), target
    for target in named:
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_program_in_a_page_is_valid_python(page: Path) -> None:
    for source in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        ast.parse(source)


def test_the_sample_program_uses_the_names_of_its_schema_and_settings() -> None:
    source = (EXAMPLE / "main.py").read_text()
    schema = json.loads((EXAMPLE / "schema_example.json").read_text())
    settings = json.loads((EXAMPLE / "env_example.json").read_text())
    assert set(re.findall(r'on_input\("(.*?)"\)', source)) == set(schema["input_topic"])
    assert set(re.findall(r'publish\("(.*?)"', source)) == set(schema["output_topic"])
    assert set(re.findall(r"unit\.env\.(\w+)", source)) == set(settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_route_that_a_page_names_exists(page: Path) -> None:
    routes = {(one.route.method, one.route.path) for table in server.TABLES for one in table.endpoints}
    for method, named in re.findall(r"`(GET|POST|PATCH|DELETE) (/[\w/{},-]+)", page.read_text()):
        group = re.search(r"\{(\w+(?:,\w+)+)\}", named)  # {tar,zip,tgz} stands for three
        for path in [named.replace(group[0], one) for one in group[1].split(",")] if group else [named]:
            if path.endswith("/"):  # `/users/…` stands for several
                assert any(known == method and route.startswith(path) for known, route in routes), path
            else:
                assert (method, path) in routes, path
