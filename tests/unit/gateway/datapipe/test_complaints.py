from uuid import UUID

from pepeunit_gateway.datapipe.complaints import Complaints

ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))


def test_a_unit_is_complained_about_once_a_minute():
    complaints = Complaints(interval=60)
    assert [complaints.due(ONE, now) for now in (100, 101, 159.9, 160, 219, 220)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_units_are_independent():
    complaints = Complaints()
    assert [complaints.due(ONE, 0), complaints.due(TWO, 0), complaints.due(ONE, 1)] == [True, True, False]


def test_only_the_newest_units_are_remembered():
    """W55."""
    complaints = Complaints(limit=2)
    assert [complaints.due(unit, 0) for unit in (ONE, TWO, THREE)] == [True] * 3
    assert [complaints.due(unit, 1) for unit in (THREE, TWO, ONE)] == [False, False, True]
