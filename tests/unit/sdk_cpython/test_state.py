import json

from pepeunit.state import machine_state, state_payload

DOCUMENTED = {"millis", "mem_free", "mem_alloc", "freq", "statvfs", "ifconfig", "pu_commit_version"}


def test_a_state_has_documented_keys_only_and_the_installed_commit(tmp_path):
    state = json.loads(state_payload(machine_state(tmp_path), millis=5, installed_commit="c" * 40))
    assert set(state) <= DOCUMENTED
    assert state["millis"] == 5
    assert state["pu_commit_version"] == "c" * 40
    assert state["mem_free"] > 0
    assert len(state["statvfs"]) == 10


def test_memory_is_bytes_and_the_clock_is_hertz(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\nHugePages: x\n")
    (tmp_path / "cpuinfo").write_text("processor : 0\ncpu MHz\t: 1500.5\n")
    state = machine_state(tmp_path, proc=tmp_path, devices=tmp_path)
    assert (state["mem_free"], state["mem_alloc"], state["freq"]) == (409600, 614400, 1_500_500_000)
    scaling = tmp_path / "system/cpu/cpu0/cpufreq"
    scaling.mkdir(parents=True)
    (scaling / "scaling_cur_freq").write_text("600000\n")
    assert machine_state(tmp_path, proc=tmp_path, devices=tmp_path)["freq"] == 600_000_000


def test_what_a_machine_does_not_tell_is_zero(tmp_path):
    state = machine_state(tmp_path / "gone", proc=tmp_path, devices=tmp_path)
    assert state == {"mem_free": 0, "mem_alloc": 0, "freq": 0, "statvfs": []}
