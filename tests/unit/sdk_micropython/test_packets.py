"""packets.py in the real MicroPython, against bytes written by hand from the MQTT 3.1.1 standard."""

from tests.support.micropython import run_script


def test_every_packet_is_what_the_standard_says(tmp_path):
    run_script(
        """
import pepeunit.packets as packets

assert packets.connect("id", "tok", 60) == (
    b"\\x10\\x15" b"\\x00\\x04MQTT\\x04" b"\\xc2" b"\\x00\\x3c" b"\\x00\\x02id" b"\\x00\\x03tok" b"\\x00\\x00")
assert packets.publish("a/b", b"hi", 258) == b"\\x32\\x09\\x00\\x03a/b\\x01\\x02hi"
assert packets.puback(258) == b"\\x40\\x02\\x01\\x02"
assert packets.subscribe(1, ["a", "bc"]) == b"\\x82\\x0b\\x00\\x01\\x00\\x01a\\x01\\x00\\x02bc\\x01"
assert packets.unsubscribe(1, ["a", "bc"]) == b"\\xa2\\x09\\x00\\x01\\x00\\x01a\\x00\\x02bc"
for size, length in ((122, b"\\x7f"), (123, b"\\x80\\x01"), (16378, b"\\xff\\x7f"), (16379, b"\\x80\\x80\\x01")):
    packet = packets.publish("a", bytes(size), 1)
    assert packet[1 : 1 + len(length)] == length and len(packet) == 1 + len(length) + 5 + size, size
""",
        tmp_path,
    )
