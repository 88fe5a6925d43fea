"""The script of the kit, on kits of small programs that stand for the tests."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

#: Speaks as Rust's tests do: `bad` fails always, `sticky` where others ran before it.
PROGRAM = """#!/bin/sh
case "$*" in
  *--ignored*) exit 0 ;;
  *--list*) printf 'good: test\\nbad: test\\nsticky: test\\n'; exit 0 ;;
  *"--exact bad"*) echo 'test bad ... FAILED'; exit 1 ;;
  *"--exact sticky"*) echo 'test sticky ... ok'; exit 0 ;;
esac
printf 'test good ... ok\\ntest bad ... FAILED\\ntest sticky ... FAILED\\n'
exit 1
"""
HANGS = """#!/bin/sh
case "$*" in
  *--ignored*) exit 0 ;;
  *--list*) echo 'waits: test'; exit 0 ;;
esac
echo 'test waits ...'
sleep 1000 &
sleep 1000
"""
PYTEST = """
def test_good():
    pass

def test_bad():
    raise AssertionError("on purpose")
"""
MISSING = """
import pytest

pytest.importorskip("no_such_library")
"""


@pytest.fixture
def kit(tmp_path):
    """A kit without programs, whose driver is not there."""
    for name in ("tests", "python-tests", "bench"):
        (tmp_path / "kit" / name).mkdir(parents=True)
    for name in ("run.py", "facts.py", "compare_facts.py"):
        shutil.copy(HERE / name, tmp_path / "kit")
    return tmp_path / "kit"


def add(kit, name, text):
    (kit / name).write_text(text)
    (kit / name).chmod(0o755)


def run(kit, *options, path=None):
    """Exit code, steps by name, tests by name."""
    environment = {"PATH": path or "/usr/bin:/bin", "NDBRIDGE_CUDA_DRIVER": "/no/such/driver.so"}
    command = [sys.executable, kit / "run.py", kit / "out", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    lines = (kit / "out" / "results.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    steps = {entry["name"].strip(): entry["state"] for entry in entries if "name" in entry}
    return done.returncode, steps, {e["test"]: e["state"] for e in entries if "test" in e}


def test_what_is_missing_is_neither_passed_nor_failed(kit):
    code, steps, _ = run(kit)
    missing = ("nvidia-smi", "first contact", "wheel", "rust", "memcheck", "racecheck", "benchmark")
    assert {steps[name] for name in missing} == {"not there"}
    # The driver is asked, and that fails.
    assert (code, steps["facts"]) == (1, "FAILED")


def test_failed_tests_run_again_alone(kit):
    add(kit, "tests/program", PROGRAM)
    code, steps, tests = run(kit)
    assert (code, steps["rust program"]) == (1, "FAILED")
    assert (steps["alone: bad"], steps["alone: sticky"]) == ("FAILED", "ok")
    assert tests == {"program::good": "ok", "program::bad": "FAILED", "program::sticky": "FAILED"}


def test_python_files_run_by_themselves(kit):
    add(kit, "python-tests/test_some.py", PYTEST)
    add(kit, "python-tests/test_missing.py", MISSING)
    code, steps, tests = run(kit)
    assert (code, steps["python test_some"], steps["python test_missing"]) == (
        1,
        "FAILED",
        "not there",
    )
    assert steps["alone: test_some.py::test_bad"] == "FAILED"
    assert (tests["test_some.py::test_good"], tests["test_some.py::test_bad"]) == ("ok", "FAILED")


def test_a_program_that_hangs_ends_with_all_the_time_there_is(kit):
    add(kit, "tests/hangs", HANGS)
    code, steps, _ = run(kit, "--seconds", "6")
    assert (code, steps["rust hangs"], steps["alone: waits"]) == (1, "too long", "not run")
    summary = (kit / "out" / "summary.txt").read_text()
    assert "rust hangs" in summary


def test_few_files_of_limited_size_come_out(kit):
    loud = '#!/bin/sh\nyes "a line that says nothing" | head -c 3000000\nexit 1\n'
    for number in range(20):
        add(kit, f"tests/loud{number}", loud)
    run(kit)
    files = list((kit / "out").iterdir())
    assert len(files) <= 8
    assert 1 << 20 < (kit / "out" / "all.log").stat().st_size <= 13 << 20


def test_a_sanitizer_that_runs_no_test_fails(kit, tmp_path):
    add(kit, "tests/ndbridge-cuda-cuda_tensors", PROGRAM)
    tools = tmp_path / "tools"
    tools.mkdir()
    add(tools, "compute-sanitizer", '#!/bin/sh\necho \'0 tests\'\necho "$*" >> "$0.log"\n')
    _, steps, _ = run(kit, path=f"{tools}:/usr/bin:/bin")
    assert (steps["memcheck"], steps["racecheck"]) == ("FAILED", "FAILED")
    # What tests provoke on purpose is no error.
    assert (tools / "compute-sanitizer.log").read_text().count("--report-api-errors no") == 2
    says = "#!/bin/sh\necho 'test transpositions ... ok'\necho '===== ERROR SUMMARY: 0 errors'\n"
    add(tools, "compute-sanitizer", says)
    _, steps, _ = run(kit, path=f"{tools}:/usr/bin:/bin")
    assert (steps["memcheck"], steps["racecheck"]) == ("ok", "ok")
