"""Chapters are run on emulated machines: the report names the machine and the cell that differ."""

import shutil
import subprocess

import machines
import nbformat
import pytest
from run_chapters import execute

import course


def store(path, source):
    """Store an executed notebook of one code cell and return its path."""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    execute(path)
    return path


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """Return two notebooks in a folder of their own, stored in UTC; one prints the time zone."""
    monkeypatch.setenv("TZ", "UTC")
    shutil.copy(machines.ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(machines, "ROOT", tmp_path)
    zone = store(tmp_path / "900_zone.ipynb", "import time\n\nprint(time.tzname[0])")
    return [zone, store(tmp_path / "901_sum.ipynb", "print(1 + 1)")]


def test_a_chapter_that_differs_on_one_machine_fails_there_alone(notebooks, capfd):
    emulated = {"at home": {"TZ": "UTC"}, "abroad": {"TZ": "Asia/Kathmandu"}}
    assert machines.main(notebooks, emulated) == 1
    told = capfd.readouterr().out.splitlines()
    assert "at home: TZ=UTC has no effect here" in told
    effect = "takes effect: ('UTC', 'UTC') -> ('+0545', '+0545')"
    assert f"abroad: TZ=Asia/Kathmandu {effect}" in told
    table = [line.split() for line in told[-3:]]
    assert table == [
        ["at", "home", "abroad"],
        ["900_zone", "passed", "Cell", "0"],
        ["901_sum", "passed", "passed"],
    ]


@pytest.mark.parametrize("verdict, status", [("passed", 0), ("Cell 1", 1), ("did not run", 1)])
def test_one_chapter_that_has_not_passed_is_a_failure(monkeypatch, verdict, status):
    found = {"900_zone": verdict, "901_sum": "passed"}
    monkeypatch.setattr(machines, "verdicts", lambda machine, notebooks: found)
    assert machines.main([], {"as it is": {}}) == status


def test_a_chapter_that_does_not_run_has_not_passed(tmp_path):
    nowhere = tmp_path / "902_nowhere.ipynb"
    assert machines.verdicts({}, [nowhere]) == {"902_nowhere": "did not run"}


def test_a_chapter_has_not_passed_where_pytest_is_ended_early(monkeypatch, tmp_path):
    ended = subprocess.CompletedProcess([], returncode=-15)
    monkeypatch.setattr(machines.subprocess, "run", lambda *arguments, **options: ended)
    found = machines.verdicts({}, [tmp_path / "903_ended.ipynb"])
    assert found == {"903_ended": "did not run"}


def test_a_probe_that_fails_ends_the_program(monkeypatch):
    monkeypatch.setitem(machines.PROBES, "TZ", "raise ValueError('no clock')")
    with pytest.raises(SystemExit, match="^The probe of TZ fails: ValueError: no clock$"):
        machines.effects({"TZ": "UTC"})


def test_every_switch_has_a_probe():
    switches = {name for machine in machines.MACHINES.values() for name in machine}
    assert switches == set(machines.PROBES)


@pytest.mark.parametrize("numbers, count", [(["151.1", "163"], 2), ([], None)])
def test_course_passes_chapters_on(monkeypatch, numbers, count):
    monkeypatch.setattr(course, "run", lambda *arguments: arguments)
    program, *paths = course.test(["--machines", *numbers])
    written = sorted(path.name for path in (course.ROOT / "chapters").glob("*.ipynb"))
    assert program == "tools/machines.py"
    names = [path.rsplit("/", 1)[-1].rsplit("\\", 1)[-1] for path in paths]
    chosen = ["151_1_thresholds_costs_calibration.ipynb", "163_distributed_data_parallelism.ipynb"]
    expected = chosen if count else written
    assert names == expected and len(names) == (count or len(written))
