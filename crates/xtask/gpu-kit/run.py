"""Tests and measures ndbridge on this machine's GPU. Needs no Rust and no network.

    python3 run.py [OUT] [--seconds 400] [--short]

OUT is a folder for the results, ./out unless said: at most 8 files of at most 16 MiB, each written
as results come, so that an end at any moment loses little. What is worth most comes first, each
step has a limit of its own, and what no time is left for is `not run`. A step whose library or tool is
missing is `not there`, which is neither passed nor failed. Exit code 0 if nothing failed; without a
driver the first contact fails. `--short` runs a few tests of each kind, to try the kit itself.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KIT = Path(__file__).resolve().parent
MOST_LOG_BYTES = 12 << 20
MOST_STEP_BYTES = 1 << 20
#: Failed tests of one program or file that are run again, each alone.
MOST_AGAIN = 12
#: What the sanitizer runs: it makes everything some fifty times slower.
SANITIZED = "ndbridge-cuda-cuda_tensors"
MEMCHECK = ["--skip", "sequences", "--skip", "much_pageable"]
RACECHECK = ["transpositions"]
#: Files of a short run: one that needs nothing, one that needs what is seldom there.
SHORT = ["test_cupy", "test_host_words"]
LIBRARIES = ["numpy", "torch", "cupy", "jax", "ml_dtypes", "pytest", "pytest-timeout"]

OK, FAILED, LATE, NOT_THERE, NOT_RUN = "ok", "FAILED", "too long", "not there", "not run"
BAD = {FAILED, LATE}


class Run:
    """Where results go, and when everything has to be over."""

    def __init__(self, out, seconds, is_short):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.is_short = out, is_short
        self.end = time.monotonic() + seconds
        self.work = Path(tempfile.mkdtemp())
        self.lock = threading.Lock()
        self.bad, self.log_bytes = [], 0
        self.width = max(2, os.cpu_count() or 2)
        self.slots = threading.BoundedSemaphore(self.width)
        for name in ("summary.txt", "results.jsonl", "all.log"):
            (out / name).write_text("")
        self.environment = {
            **os.environ,
            "NDBRIDGE_GPU": "real",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # JAX would take three quarters of the memory at once.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            # Kernels are compiled anew, as on a machine that never saw them.
            "CUDA_CACHE_PATH": str(self.work / "jit"),
        }

    def left(self):
        return self.end - time.monotonic()

    def note(self, name, state, seconds=0.0, text="", **more):
        """Writes one result: a step, or indented what belongs to the step before."""
        entry = {"name": name, "state": state, "seconds": round(seconds, 1), **more}
        line = f"{state:<9} {seconds:6.1f} s  {name:<34} {text[:140]}".rstrip()
        with self.lock:
            if state in BAD and not name.startswith(" "):
                self.bad.append(name)
            with open(self.out / "results.jsonl", "a") as file:
                file.write(json.dumps(entry) + "\n")
            with open(self.out / "summary.txt", "a") as file:
                file.write(line + "\n")
        print(line, flush=True)

    def test(self, name, state, seconds):
        """Writes one test; its step tells whether that is bad."""
        with self.lock, open(self.out / "results.jsonl", "a") as file:
            entry = {"test": name, "state": state, "seconds": round(seconds, 2)}
            file.write(json.dumps(entry) + "\n")

    def keep_log(self, name, text):
        """Appends the end of a log, as long as there is room."""
        text = f"=== {name}\n{text[-MOST_STEP_BYTES:]}\n"
        with self.lock:
            if self.log_bytes + len(text) <= MOST_LOG_BYTES:
                self.log_bytes += len(text.encode(errors="replace"))
                with open(self.out / "all.log", "a", errors="replace") as file:
                    file.write(text)

    def command(self, name, limit, command, folder=None):
        """Runs a command to its end or its limit: state, seconds, what it said."""
        with self.slots:
            limit = min(limit, self.left())
            if limit < 2:
                return NOT_RUN, 0.0, ""
            begun = time.monotonic()
            log = self.work / (re.sub(r"\W+", "-", name)[:200] + ".log")
            code = self.exit_code(limit, [str(word) for word in command], folder, log)
            seconds = time.monotonic() - begun
        state = LATE if code is None else OK if code == 0 else FAILED
        # pytest's word for a file that skips itself: its library is missing.
        if code == 5 and "pytest" in command:
            state = NOT_THERE
        text = log.read_text(errors="replace")
        self.keep_log(f"{name}: {state}, exit code {code}", text)
        return state, seconds, text

    def exit_code(self, limit, command, folder, log):
        """`None` if it had to be ended, and with it what it started."""
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                cwd=folder, env=self.environment, start_new_session=True,
            )  # fmt: skip
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                # Also what a program left behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def step(self, name, limit, command, folder=None):
        """Runs a command, and writes how it ended with the last line of what it said."""
        state, seconds, text = self.command(name, limit, command, folder)
        self.note(name, state, seconds, last_line(text))
        return state, text

    def side_by_side(self, works):
        with ThreadPoolExecutor(self.width) as pool:
            for future in [pool.submit(work) for work in works]:
                future.result()


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def machine(run):
    """What is here: for whoever reads the results."""
    facts = {"python": platform.python_version(), "libc": " ".join(platform.libc_ver())}
    facts["kernel"], facts["cores"] = platform.release(), os.cpu_count()
    for library in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            facts[library] = importlib.metadata.version(library)
    driver = os.environ.get("NDBRIDGE_CUDA_DRIVER")
    if driver:
        facts["driver named by NDBRIDGE_CUDA_DRIVER"] = driver
    run.keep_log("machine", json.dumps(facts, indent=1))
    run.note(
        "machine", OK, 0.0, ", ".join(f"{name} {value}" for name, value in facts.items()), **facts
    )
    if shutil.which("nvidia-smi") is None:
        return run.note("nvidia-smi", NOT_THERE)
    state, seconds, text = run.command("nvidia-smi", 15, ["nvidia-smi", "-q"])
    (run.out / "nvidia-smi.log").write_text(text[:MOST_STEP_BYTES])
    product = re.search(r"Product Name *: (.*)", text)
    return run.note("nvidia-smi", state, seconds, product[1] if product else "")


def facts(run):
    """What the driver answers, and where the emulated one answers otherwise."""
    out = run.out / "facts.json"
    run.step("facts", 40, [sys.executable, KIT / "facts.py", out])
    if out.is_file():
        command = [sys.executable, KIT / "compare_facts.py", out]
        state, seconds, text = run.command("facts compared", 10, command)
        # To differ is what they are asked for.
        differs = state == FAILED and text.rstrip().endswith("answered")
        run.note("facts compared", OK if differs else state, seconds, last_line(text))


def first_contact(run):
    gpu = KIT / "bench" / "gpu"
    if not gpu.is_file():
        return run.note("first contact", NOT_THERE, text="no bench/gpu in the kit")
    return run.step("first contact", 60, [gpu, "--bytes", 65536])


def rust_names(run, program):
    """The tests of a program, without those that only others start."""
    _, _, ignored = run.command(f"{program.name} --ignored", 10, [program, "--list", "--ignored"])
    _, _, text = run.command(f"{program.name} --list", 10, [program, "--list"])
    others = set(re.findall(r"^(\S+): test$", ignored, re.M))
    return [name for name in re.findall(r"^(\S+): test$", text, re.M) if name not in others]


def rust_tests(run, program):
    name, names = f"rust {program.name}", rust_names(run, program)
    if not names:
        return run.note(name, FAILED, text="no tests in it")
    chosen = ["--exact", *names[:3]] if run.is_short else []
    command = [program, "--test-threads=1", *chosen]
    state, seconds, text = run.command(name, 90, command)
    wanted = names[:3] if run.is_short else names
    passed = set(re.findall(r"^test (\S+) \.\.\. ok", text, re.M))
    failed = [test for test in wanted if test not in passed]
    for test in wanted:
        run.test(f"{program.name}::{test}", OK if test in passed else FAILED, 0.0)
    if state == OK and failed:
        state = FAILED  # a program that ends well without having run them
    run.note(name, state, seconds, f"{len(passed)} of {len(wanted)} passed")
    return again(run, name, failed, lambda test: [program, "--exact", test, "--test-threads=1"])


def again(run, name, failed, command, folder=None):
    """Failed tests, each alone: an error that ends a context fails all tests after it."""

    def alone(test):
        state, seconds, text = run.command(f"{name} alone {test}", 20, command(test), folder)
        run.note(f"  alone: {test}", state, seconds, last_line(text))

    run.side_by_side([lambda test=test: alone(test) for test in failed[:MOST_AGAIN]])
    if len(failed) > MOST_AGAIN:
        run.note(f"  alone: {len(failed) - MOST_AGAIN} more of {name}", NOT_RUN)


def install_wheel(run):
    """Unpacks the wheel beside the results: nothing of the machine is changed."""
    wheels, site = sorted((KIT / "wheel").glob("*.whl")), run.work / "site"
    if not wheels:
        return run.note("wheel", NOT_THERE, text="none in the kit")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(site)
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    run.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return run.step(
        "wheel", 30, [sys.executable, "-c", "import ndbridge; print(ndbridge.__version__)"]
    )


def pytest_command(run, what, report):
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", what]
    command.append(f"--junitxml={report}")
    if has("pytest-timeout"):
        command.append("--timeout=45")
    return command


def has(library):
    try:
        return bool(importlib.metadata.version(library))
    except importlib.metadata.PackageNotFoundError:
        return False


def python_tests(run, file):
    """One file, in a process of its own: one that ends it does not end the others."""
    name, report = f"python {file.stem}", run.work / f"{file.stem}.xml"
    if not has("pytest"):
        return run.note(name, NOT_THERE, text="no pytest")
    command = pytest_command(run, file.name, report)
    state, seconds, text = run.command(name, 130, command, file.parent)
    run.note(name, state, seconds, last_line(text))
    failed = python_results(run, file, report)
    return again(run, name, failed, lambda test: pytest_command(run, test, os.devnull), file.parent)


def python_results(run, file, report):
    """Writes each test of a file; the names of those that failed."""
    failed = []
    with contextlib.suppress(OSError, xml.ParseError):
        for case in xml.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            state = (
                FAILED if kinds & {"failure", "error"} else NOT_THERE if "skipped" in kinds else OK
            )
            test = f"{file.name}::{case.get('name')}"
            run.test(test, state, float(case.get("time") or 0))
            if state == FAILED and "::test_" in test:
                failed.append(test)
    return failed


def sanitizer(run, tool, limit, tests):
    """The tests make calls fail on purpose: those are no errors."""
    found = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    program = KIT / "tests" / SANITIZED
    if not os.path.exists(found):
        return run.note(tool, NOT_THERE, text="no compute-sanitizer")
    if not program.is_file():
        return run.note(tool, NOT_THERE, text=f"no {SANITIZED} in the kit")
    options = ["--report-api-errors", "no", "--error-exitcode", "9"]
    command = [found, "--tool", tool, *options, program, "--test-threads=1", *tests]
    state, seconds, text = run.command(tool, limit, command)
    # A filter that no test's name has any more would pass.
    if state == OK and not re.search(r"^test .* \.\.\. ok", text, re.M):
        state = FAILED
    errors = re.findall(r"ERROR SUMMARY: .*|RACECHECK SUMMARY: .*", text)
    return run.note(tool, state, seconds, errors[-1] if errors else last_line(text))


def benchmarks(run):
    """With what time is left: first what is measured by itself, then beside torch."""
    gpu, rows = KIT / "bench" / "gpu", run.out / "gpu.jsonl"
    length = 65536 if run.is_short else 256 << 20
    if not gpu.is_file():
        run.note("benchmark", NOT_THERE, text="no bench/gpu in the kit")
    else:
        run.step("benchmark", run.left() / 2, [gpu, "--bytes", length, "--out", rows])
    script = KIT / "bench" / "gpu.py"
    if not has("torch") or not script.is_file():
        return run.note("benchmark beside torch", NOT_THERE, text="no torch, or no script")
    asks = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    state, seconds, _ = run.command("torch's GPU", 60, [sys.executable, "-c", asks])
    if state != OK:
        return run.note(
            "benchmark beside torch",
            NOT_THERE if state == FAILED else state,
            seconds,
            "torch sees no GPU",
        )
    native = ["--native", rows] if rows.is_file() else []
    command = [sys.executable, script, "--bytes", length, *native, run.out / "gpu.md"]
    return run.step("benchmark beside torch", run.left(), command)


def everything(run):
    programs = sorted((KIT / "tests").glob("*")) if (KIT / "tests").is_dir() else []
    for program in [*programs, KIT / "bench" / "gpu"]:
        if program.is_file():
            program.chmod(0o755)  # a copy need not have kept it
    machine(run)
    facts(run)
    first_contact(run)
    install_wheel(run)
    files = sorted((KIT / "python-tests").glob("test_*.py"))
    hazards = [file for file in files if file.stem == "test_hazards"]
    files = [file for file in files if file not in hazards]
    if run.is_short:
        hazards, files = [], [file for file in files if file.stem in SHORT]
    if not programs:
        run.note("rust", NOT_THERE, text="no test programs in the kit")
    works = [lambda program=program: rust_tests(run, program) for program in programs]
    run.side_by_side([*works, *(lambda file=file: python_tests(run, file) for file in files)])
    for file in hazards:
        python_tests(run, file)
    checks = [("memcheck", 70, MEMCHECK), ("racecheck", 40, RACECHECK)]
    run.side_by_side([lambda check=check: sanitizer(run, *check) for check in checks])
    benchmarks(run)


def main():
    parser = argparse.ArgumentParser(description="ndbridge on this machine's GPU")
    parser.add_argument("out", type=Path, nargs="?", default=Path("out"))
    parser.add_argument("--seconds", type=float, default=400, help="the most that everything takes")
    parser.add_argument("--short", action="store_true", help="a few tests of each kind")
    arguments = parser.parse_args()
    run = Run(arguments.out.resolve(), arguments.seconds, arguments.short)
    try:
        everything(run)
    finally:
        shutil.rmtree(run.work, ignore_errors=True)
    print(f"\n{len(run.bad)} failed" + "".join(f"\n  {name}" for name in run.bad))
    return 1 if run.bad else 0


if __name__ == "__main__":
    sys.exit(main())
