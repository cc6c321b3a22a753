import gzip
import zlib

import pytest

from pepeunit_gateway.firmware.containers import container_header, container_trailer, window_of

WBITS = [*range(-15, -8), *range(9, 16), *range(25, 32)]


@pytest.mark.parametrize("wbits", WBITS)
@pytest.mark.parametrize("level", range(10))
def test_headers_and_trailers_are_those_of_zlib(wbits, level):
    data = b"something that is compressed" * 50
    machine = zlib.compressobj(level, zlib.DEFLATED, wbits)
    whole = machine.compress(data) + machine.flush()
    raw = zlib.compressobj(level, zlib.DEFLATED, -window_of(wbits))
    body = raw.compress(data) + raw.flush()
    trailer = container_trailer(wbits, adler=zlib.adler32(data), crc=zlib.crc32(data), size=len(data))
    assert container_header(wbits, level) + body + trailer == whole


def test_a_gzip_stream_of_over_four_gib_says_its_size_modulo_that():
    assert container_trailer(31, adler=0, crc=1, size=2**32 + 5) == b"\1\0\0\0\5\0\0\0"


def test_other_programs_read_a_gzip_stream():
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = raw.compress(b"abc") + raw.flush()
    trailer = container_trailer(31, adler=0, crc=zlib.crc32(b"abc"), size=3)
    assert gzip.decompress(container_header(31, 9) + body + trailer) == b"abc"
