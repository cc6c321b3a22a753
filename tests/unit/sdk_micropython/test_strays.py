"""unit.py and strays.py: what the program hands over is a coroutine function, and something can reach it."""

import json

from tests.support.micropython import env, run_script, schema

UNIT = """
from pepeunit import Unit
unit = Unit()

def refused(decorate, function, *texts):
    try:
        decorate(function)
    except TypeError as error:
        for text in texts:
            assert text in str(error), str(error)
    else:
        raise AssertionError(texts)
"""


def lay_out(directory):
    (directory / "env.json").write_text(json.dumps(env()))
    (directory / "schema.json").write_text(json.dumps(schema()))


def test_a_plain_function_is_refused_where_it_is_decorated(tmp_path):
    lay_out(tmp_path)
    run_script(
        UNIT
        + """
def plain(message=None):
    pass
for name, decorate in (
    ("on_input", unit.on_input("fan/pepeunit")),
    ("on_command", unit.on_command("update/pepeunit")),
    ("on_connect", unit.on_connect),
    ("every", unit.every(seconds=1)),
):
    for other in (plain, lambda: None, None, 5):
        refused(decorate, other, "@unit." + name + " needs an `async def` function")
refused(unit.on_connect, plain, "not <function plain at ")
""",
        tmp_path,
    )


def test_a_decorator_without_its_name_is_refused(tmp_path):
    lay_out(tmp_path)
    run_script(
        UNIT
        + """
async def handler(message):
    pass
refused(unit.on_input, handler, 'write @unit.on_input("NAME")')
refused(unit.on_command, handler, 'write @unit.on_command("NAME")')
""",
        tmp_path,
    )


def test_coroutine_functions_closures_and_methods_are_taken(tmp_path):
    lay_out(tmp_path)
    run_script(
        UNIT
        + """
async def function():
    pass
def outer():
    async def closure():
        return unit, outer, function
    value = 1
    async def inner():
        return value
    return inner
class Thing:
    async def method(self):
        pass
    async def __call__(self):
        pass
for found in (function, outer(), Thing().method, Thing()):
    assert unit.on_connect(found) is found
""",
        tmp_path,
    )


def test_a_closure_that_is_no_coroutine_function_is_told_at_its_first_call_and_the_unit_goes_on(tmp_path):
    lay_out(tmp_path)
    output = run_script(
        UNIT
        + """
def outer(value):
    def plain():
        print("called", value)
    return plain

class Thing:
    def method(self):
        return "text"

unit.every(seconds=60)(outer(1))
unit.every(seconds=60)(Thing().method)
calls = 0
@unit.every(seconds=0.05)
async def end():
    global calls
    calls += 1
    if calls == 3:
        unit.stop()
unit.run()
""",
        tmp_path,
        heap="1m",
    )
    assert "called 1" in output
    assert output.count("this is no `async def` function: it was called, but cannot be awaited") == 2
    assert "TypeError: this is no `async def` function" in output
