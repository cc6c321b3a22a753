from pepeunit_gateway.firmware.lru import Lru


def test_the_entry_used_longest_ago_goes_first():
    memory = Lru(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c"), len(memory)) == (1, None, 3, 2)
