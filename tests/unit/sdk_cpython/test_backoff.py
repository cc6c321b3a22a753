from pepeunit.backoff import Backoff


def test_the_pause_doubles_up_to_its_cap():
    backoff = Backoff(1.0, 60.0)
    assert [backoff.delay(failures, 1.0) for failures in (1, 2, 3, 6, 7, 8, 10**6)] == [1, 2, 4, 32, 60, 60, 60]


def test_jitter_takes_any_part_of_it():
    assert Backoff(1.0, 60.0).delay(4, 0.25) == 2.0
    assert Backoff(1.0, 60.0).delay(4, 0.0) == 0.0
