from pepeunit.outbox import Outbox


def test_the_last_value_of_each_topic_is_kept_s9():
    outbox = Outbox()
    for value in range(1000):
        assert outbox.put("a", b"%d" % value)
        assert outbox.put("b", b"%d" % -value)
    assert (outbox.take(), outbox.take(), outbox.take()) == (("a", b"999"), ("b", b"-999"), None)


def test_a_new_topic_finds_no_room_in_a_full_outbox_and_says_so():
    outbox = Outbox(2)
    assert [outbox.put(topic, b"1") for topic in "abca"] == [True, True, False, True]
    assert len(outbox) == 2


def test_what_could_not_be_sent_comes_back_unless_a_newer_value_is_there():
    outbox = Outbox()
    assert outbox.put_back("a", b"old")
    assert outbox.put("b", b"new")
    assert outbox.put_back("b", b"old")
    assert [outbox.take(), outbox.take()] == [("a", b"old"), ("b", b"new")]


def test_a_topic_can_be_forgotten():
    outbox = Outbox()
    outbox.put("a", b"1")
    outbox.discard("a")
    outbox.discard("b")
    assert outbox.take() is None
