"""outbox.py in the real MicroPython."""

from tests.support.micropython import run_script


def test_the_last_value_of_each_topic_is_kept_in_order_and_the_number_is_bounded(tmp_path):
    run_script(
        """
from pepeunit.outbox import Outbox

box = Outbox()
assert box.put("a", b"1") and box.put("b", b"2") and box.put("a", b"3")
assert box.first() == ("b", b"2")
first = box.first()
box.put("b", b"newer")
box.taken(first)
assert len(box) == 2 and box.holds("b"), "what came meanwhile stays"
assert box.put_back("b", b"older") and box.put_back("c", b"back")
while len(box):
    item = box.first()
    box.taken(item)
    assert item != ("b", b"older")
for number in range(32):
    assert box.put(str(number), b"x")
assert not box.put("one more", b"x")
assert box.put("5", b"replaced")
assert len(box) == 32
""",
        tmp_path,
    )


def test_its_memory_is_bounded_too(tmp_path):
    run_script(
        """
from pepeunit.outbox import Outbox

box = Outbox()
kept = [box.put(str(number), bytes(3000)) for number in range(20)]
assert kept.count(True) == 5
box.taken(box.first())
assert box.put("again", bytes(3000))
""",
        tmp_path,
    )
