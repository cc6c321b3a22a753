"""A unit in words."""

from datetime import UTC, datetime

from pepeunit_tools.portrait import portrait

NOW = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
ROW = {
    "uuid": "u",
    "name": "kitchen",
    "visibility_level": "Private",
    "create_datetime": "2026-01-01T03:05:00Z",
    "last_update_datetime": "2026-01-02T03:04:48Z",
    "is_auto_update_from_repo_unit": True,
    "target_firmware_platform": None,
    "repo_branch": None,
    "repo_commit": None,
    "unit_state": None,
    "current_commit_version": None,
    "firmware_update_status": None,
    "firmware_update_error": None,
    "last_firmware_update_datetime": None,
    "creator_uuid": "c",
    "repo_uuid": "r",
    "unit_nodes": [],
}
STATE = {
    "ifconfig": ["192.0.2.7", "255.255.255.0"],
    "millis": 1700000000000.0,
    "mem_free": 2048,
    "mem_alloc": 3 * 1024 * 1024,
    "freq": 240_000_000,
    "statvfs": [4096, 4096, 512, 256, 128, 0, 0, 0, 0, 255],
    "pu_commit_version": "a" * 40,
}


def test_a_new_unit_has_never_reported_anything():
    assert portrait(ROW, repo="heating", now=NOW) == [
        ("name", "kitchen"),
        ("uuid", "u"),
        ("visibility", "Private"),
        ("repo", "heating"),
        ("follows", "its repo"),
        ("version", "it has not reported one yet"),
        ("update", "none was asked for yet"),
        ("update error", "none"),
        ("created", "2026-01-01 03:05:00Z, 24 h ago"),
        ("heard or changed", "2026-01-02 03:04:48Z, 12 s ago"),
        ("state", "it has not reported one yet"),
    ]


def test_a_failed_update_is_told_with_its_reason_and_the_state_in_words():
    more = {
        "is_auto_update_from_repo_unit": False,
        "repo_branch": "main",
        "repo_commit": "b" * 40,
        "target_firmware_platform": "ESP32",
        "current_commit_version": "a" * 40,
        "firmware_update_status": "Error",
        "firmware_update_error": "no room",
        "unit_state": STATE,
    }
    told = dict(portrait({**ROW, **more}, repo="heating", now=NOW))
    assert told["follows"] == f"commit {'b' * 40} of branch main, whatever its repo does"
    assert (told["platform"], told["version"]) == ("ESP32", "a" * 40)
    assert (told["update"], told["update error"]) == ("failed", "no room")
    assert told["network"] == "192.0.2.7 255.255.255.0"
    assert told["memory"] == "2.0 KiB free, 3.0 MiB in use"
    assert told["clock"] == "240 MHz"
    assert told["disk"] == "512.0 KiB free of 2.0 MiB"
    assert "state" not in told


def test_the_time_of_a_command_is_told_only_until_its_outcome_is_known():
    sent = {"firmware_update_status": "RequestSent", "last_firmware_update_datetime": "2026-01-02T03:04:48Z"}
    told = dict(portrait({**ROW, **sent}, repo="heating", now=NOW))
    assert told["update"] == "sent; it has not reported the new version yet"
    assert told["update sent"] == "2026-01-02 03:04:48Z, 12 s ago"
    done = {"firmware_update_status": "Success", "current_commit_version": "a" * 40}
    told = dict(portrait({**ROW, **done}, repo="heating", now=NOW))
    assert told["update"] == "done"
    assert "never" not in told.values()


def test_what_a_device_does_not_know_or_sends_oddly_is_left_out():
    odd = {"ifconfig": [], "millis": None, "mem_free": None, "freq": 0, "statvfs": ["x"] * 10}
    assert [name for name, _ in portrait({**ROW, "unit_state": odd}, repo="heating", now=NOW)][-1] == "heard or changed"
