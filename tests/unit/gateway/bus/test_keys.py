"""Keys that strangers may have typed."""

from pepeunit_gateway.bus.keys import bounded_key


def test_a_short_key_stays_as_it_is():
    assert bounded_key("login:alice") == "login:alice"


def test_a_long_key_is_replaced_by_its_hash():
    one, two = bounded_key("x" * 1_000_000), bounded_key("x" * 1_000_001)
    assert one != two
    assert len(one) == len(two) == len("sha256:") + 64
    assert bounded_key("\ud800" * 200).startswith("sha256:")
