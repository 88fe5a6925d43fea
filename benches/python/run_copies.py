"""Checks and times copies, conversions and files beside NumPy, torch, TensorFlow and JAX.

Usage: python run_copies.py [--quick] [--files FOLDER] [FILE]. Writes Markdown to FILE and pictures
beside it, or prints it. The interpreter needs the packages ndbridge, numpy, torch, tensorflow, jax
and ml_dtypes. Linux only, which tells what other processes use. Fails if a contender answers
wrongly; a goal that is missed is no failure.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from report import load_average

#: All of them keep to one thread, or to as many as they are told.
SETTINGS = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "NPROC": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def main() -> int:
    arguments = parse()
    os.environ.update(SETTINGS)
    # Only now: they import frameworks that read these settings.
    from copies.page import Machine, markdown
    from copies.pictures import draw

    load_before = load_average()
    arguments.files.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.files) as folder:
        measured = measure_all(Path(folder), arguments.quick)
    machine = Machine(load_before, load_average(), arguments.quick)
    if arguments.file is None:
        print(markdown(measured, machine, []))
    else:
        pictures = list(draw(measured, arguments.file.parent))
        arguments.file.write_text(markdown(measured, machine, pictures))
    return report_left_out(measured)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="times copies beside other libraries")
    parser.add_argument("file", type=Path, nargs="?", help="where to write results")
    parser.add_argument("--quick", action="store_true", help="a look of two minutes")
    files = Path(tempfile.gettempdir())
    parser.add_argument("--files", type=Path, default=files, help="a folder on a disk")
    return parser.parse_args()


def measure_all(folder: Path, is_quick: bool) -> list:
    from copies.groups import Scope, cases
    from copies.libraries import use_one_thread
    from copies.sampling import FULL, QUICK, measure

    use_one_thread()
    measured, start, group = [], time.monotonic(), None
    for case in cases(Scope(is_quick, folder)):
        if case.group != group:
            group = case.group
            print(f"  {time.monotonic() - start:4.0f} s  {group}", file=sys.stderr, flush=True)
        measured.append(measure(case, QUICK if is_quick else FULL))
        del case
    print(f"  {time.monotonic() - start:4.0f} s", file=sys.stderr)
    return measured


def report_left_out(measured: list) -> int:
    left_out = [
        (each.case.group, each.case.title, *pair)
        for each in measured
        for pair in each.left_out.items()
    ]
    for group, title, label, reason in left_out:
        print(f"error: {group}: {title}: {label}: {reason}", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
