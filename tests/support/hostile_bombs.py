"""Repositories that are small to fetch and large to read: files, trees, patterns and JSON that unfold."""

from tests.support.hostile_case import Case
from tests.support.raw_repository import PROGRAM, Mode, RawRepository

__all__ = ["BOMBS", "ENDLESS_TREE"]

MIB = 1024 * 1024
ZEROS = 40 * MIB  # over five times what a mirror may take in these tests


def _zeros(name: bytes) -> "Case":
    def build(raw: RawRepository) -> None:
        raw.publish(raw.program({name: bytes(ZEROS)}))

    return build


def _many_equal(raw: RawRepository) -> None:
    """Write one file of 1 MiB that stands in the tree 1,000 times: a pack of a few KiB, an archive of 1 GiB."""
    blob = raw.blob(bytes(MIB))
    raw.publish(raw.program({b"%04d" % number: Mode(b"100644", object=blob) for number in range(1_000)}))


def _nested(levels: int, width: int, leaf: dict[bytes, bytes]) -> Case:
    def build(raw: RawRepository) -> None:
        inner = raw.tree_of(leaf)
        for _ in range(levels):
            inner = raw.tree([(b"40000", b"%02d" % number, inner) for number in range(width)])
        raw.publish(raw.program({}, (b"40000", b"z", inner)))

    return build


def _ignore(data: bytes, archive: str, files: dict[bytes, bytes] = PROGRAM) -> Case:
    return Case(lambda raw: raw.publish(raw.program({b".pepeignore": data})), archive=archive, files=files)


def _example(name: bytes, data: bytes, hint: str) -> Case:
    return Case(lambda raw: raw.publish(raw.program({name: data})), examples=hint, files={**PROGRAM, name: data})


def _env(data: bytes, hint: str) -> Case:
    return _example(b"env_example.json", data, hint)


def _schema(data: bytes, hint: str) -> Case:
    return _example(b"schema_example.json", data, hint)


ENDLESS_TREE = Case(_nested(40, 10, {}), archive="took longer than")
"""10**40 folders and no file: git walks for ever and prints nothing."""

SLOW = b"*a" * 60 + b"b\n" + b"**/a*" * 20 + b"/x\n"

BOMBS: dict[str, Case] = {
    "a file of zeros": Case(_zeros(b"zeros.bin"), archive="PU_MAX_EXTERNAL_REPO_SIZE"),
    "a .pepeignore of zeros": Case(_zeros(b".pepeignore"), archive="."),
    "an env_example of zeros": Case(_zeros(b"env_example.json"), archive="PU_MAX", examples="."),
    "a .mailmap of zeros": Case(_zeros(b".mailmap"), archive="PU_MAX"),
    "a .gitattributes of zeros": Case(_zeros(b".gitattributes"), archive="PU_MAX"),
    "one file a thousand times": Case(_many_equal, archive="PU_MAX_EXTERNAL_REPO_SIZE"),
    "10**12 files": Case(_nested(12, 10, {b"x": b"x"}), archive="printed more than|files"),
    "2**40 files": Case(_nested(40, 2, {b"x": b"x"}), archive="printed more than|files"),
    "30,000 files": Case(
        lambda raw: raw.publish(
            raw.program({b"%05d" % n: Mode(b"100644", object=raw.blob(b"x")) for n in range(30_000)})
        ),
        archive="30003 files; archives take at most 20000",
    ),
    "a million lines": _ignore(b"*.x\n" * 1_000_000, "at most 1048576|printed more"),
    "200,000 lines": _ignore(b"a\n" * 200_000, "200000 lines; at most 1000"),
    "a line of a million characters": _ignore(b"*" * 1_000_000, "line 1 has 1000000 characters"),
    "slow patterns": _ignore(SLOW * 70, "", {**PROGRAM, b".pepeignore": SLOW * 70}),
    "too many slow patterns": _ignore(SLOW * 400, "patterns of more than 16384 characters"),
    "a pattern of nothing": _ignore(b"[", "line 1"),
    "nested lists": _env(b'{"a":' + b"[" * 500_000, "nested too deeply"),
    "nested objects": _env(b'{"a":' * 100_000, "nested too deeply"),
    "a number of 400,000 digits": _env(b'{"a":' + b"9" * 400_000 + b"}", "digits is too large"),
    "a huge exponent": _env(b'{"a":1e999999999}', "too large"),
    "not a number": _env(b'{"a":NaN}', "NaN is not JSON"),
    "a doubled key": _env(b'{"a":1,"a":2}', "stands there twice"),
    "a byte order mark": Case(
        lambda raw: raw.publish(raw.program({b"env_example.json": b"\xef\xbb\xbf{}"})),
        files={**PROGRAM, b"env_example.json": b"\xef\xbb\xbf{}"},
    ),
    "half of a surrogate": _env(b'{"\\ud800":1}', "half of a surrogate"),
    "half a million values": _env(b'{"a":[' + b"0," * 500_000 + b"0]}", "too many values"),
    "a schema of 100,000 names": _schema(
        b'{"input_base_topic":[],"output_base_topic":[],"input_topic":[],"output_topic":['
        + b",".join(b'"n%d"' % n for n in range(70_000))
        + b"]}",
        "too many values",
    ),
    "a schema of lists": _schema(
        b'{"input_base_topic":[],"output_base_topic":[],"input_topic":[],"output_topic":[[]]}', "nothing but strings"
    ),
    "a name with a way up": _schema(
        b'{"input_base_topic":[],"output_base_topic":[],"input_topic":[],"output_topic":["../#"]}', "holds"
    ),
}
