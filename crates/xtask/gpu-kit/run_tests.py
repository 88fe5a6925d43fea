"""Runs test files where pytest is not installed. Usage: run_tests.py FILE..

Stands in for the little of pytest that these tests use: `mark.parametrize`, `fixture` without
parameters, `raises`, `importorskip`, `skip`. Fails if a test does, or if there is none.
"""

import importlib
import importlib.util
import inspect
import itertools
import re
import sys
import traceback
import types
from pathlib import Path


class Skipped(Exception):
    """Ends a test, or the import of a file, without a verdict."""


class Raises:
    """`with raises(ValueError, match="text"):`"""

    def __init__(self, expected, match=None):
        self.expected, self.match, self.value = expected, match, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            raise AssertionError(f"expected {self.expected}, nothing was raised")
        if not isinstance(error, self.expected):
            return False
        if self.match is not None and not re.search(self.match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {self.match!r}")
        self.value = error
        return True


class Mark:
    """`mark.parametrize("a, b", [(1, 2)])` notes the cases on the function."""

    @staticmethod
    def parametrize(names, values, ids=None):
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        cases = [dict(zip(names, value if len(names) > 1 else (value,))) for value in values]

        def note(function):
            function.parameters = [*getattr(function, "parameters", []), cases]
            return function

        return note


def fixture(function=None, **_options):
    if function is None:
        return fixture
    function.is_fixture = True
    return function


def importorskip(name, reason=None):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        skip(reason or str(error))


def skip(reason="", allow_module_level=False):
    raise Skipped(reason)


def stand_in():
    """The module that `import pytest` finds."""
    module = types.ModuleType("pytest")
    module.mark, module.raises, module.fixture = Mark(), Raises, fixture
    module.importorskip, module.skip = importorskip, skip
    return module


def cases(function):
    """The arguments of each call."""
    for chosen in itertools.product(*getattr(function, "parameters", [])):
        yield {name: value for case in chosen for name, value in case.items()}


def run(function, arguments, module):
    """One test; fixtures that yield go on after it."""
    ends = []
    try:
        for name in inspect.signature(function).parameters:
            if name not in arguments:
                arguments[name] = made(getattr(module, name), ends)
        function(**arguments)
    finally:
        for generator in reversed(ends):
            next(generator, None)


def made(function, ends):
    value = function()
    if inspect.isgenerator(value):
        ends.append(value)
        return next(value)
    return value


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def run_file(file, counts):
    try:
        module = load(file)
    except Skipped as reason:
        print(f"SKIPPED {file.name}: {reason}")
        counts["skipped"] += 1
        return
    for name, function in list(vars(module).items()):
        if name.startswith("test_") and inspect.isfunction(function):
            for arguments in cases(function):
                run_case(file, function, arguments, module, counts)


def run_case(file, function, arguments, module, counts):
    name = f"{file.name}::{function.__name__}{list(arguments.values()) or ''}"
    try:
        run(function, arguments, module)
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}")
        counts["skipped"] += 1
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED {name}")
        counts["failed"] += 1
    else:
        counts["passed"] += 1


def main(files):
    sys.modules["pytest"] = stand_in()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in map(Path, files):
        sys.path.insert(0, str(file.resolve().parent))
        run_file(file, counts)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["failed"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
