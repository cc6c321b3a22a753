from pepeunit_gateway.firmware.lru import Lru


def test_the_entry_used_longest_ago_goes_first():
    memory = Lru(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c"), len(memory)) == (1, None, 3, 2)


def test_entries_of_different_weight_share_one_limit():
    memory = Lru(10, weigh=len)
    memory.put("a", "xxxx")
    memory.put("b", "xxxx")
    memory.put("a", "xxxxxx")
    assert (memory.get("a"), memory.get("b")) == ("xxxxxx", "xxxx")
    memory.put("c", "x" * 7)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (None, None, "x" * 7)
    memory.put("d", "x" * 11)
    assert (memory.get("d"), len(memory)) == (None, 0)


def test_chosen_entries_are_forgotten():
    memory = Lru(3)
    for key in ("a1", "a2", "b1"):
        memory.put(key, 1)
    memory.drop_where(lambda key: key.startswith("a"))
    assert (memory.get("a1"), memory.get("b1"), len(memory)) == (None, 1, 1)
