"""jsontext.py in the real MicroPython, against CPython."""

import json

from tests.support.micropython import run_script


def test_escaped_pairs_become_one_character_and_all_else_stays(tmp_path):
    values = ["😀", "a😀\\ud83d\\ude00ä😀", "\\\\", "€", 'line\n\t"quoted"', {"😀": ["😀😀"]}, "\\😀", 5, None]
    texts = [json.dumps(values), json.dumps(values, ensure_ascii=False), json.dumps(values).replace("ud83d", "uD83D")]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.json").write_text(text)
        (tmp_path / f"plain{number}.json").write_text(json.dumps(json.loads(text), ensure_ascii=False))
    run_script(
        """
import json
import pepeunit.jsontext as jsontext
for number in range(3):
    expected = json.load(open("plain%d.json" % number))
    assert jsontext.loads(open("%d.json" % number, "rb").read()) == expected, number
    assert jsontext.loads(open("%d.json" % number).read()) == expected
for bad in (b"", b"{", b'"\\\\ud83d', b'"\\\\ud83d\\\\u"', b"1 2"):
    try:
        jsontext.loads(bad)
    except ValueError:
        continue
    raise AssertionError(bad)
""",
        tmp_path,
    )
