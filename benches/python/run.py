"""Builds, checks and times the contenders of the Python boundary.

Usage: python run.py [FILE]. Writes Markdown to FILE, or prints it. The interpreter needs the
packages ndbridge, numpy, torch, tensorflow, jax and nanobind; the build needs cargo, a C and a C++
compiler. Linux only, which tells what other processes use. Fails if a contender answers wrongly.
"""

import argparse
import os
import sys
from pathlib import Path

from build import build
from report import load_average, markdown
from timing import Measured, measure

ROOT = Path(__file__).resolve().parents[2]
HOST_ONLY = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def main() -> int:
    arguments = parse()
    load_before = load_average()
    sys.path.insert(0, str(build(arguments.build)))
    measured = measure_all()
    text = markdown(measured, load_before)
    if arguments.file is None:
        print(text)
    else:
        arguments.file.write_text(text)
    return report_left_out(measured)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="times arrays crossing the Python boundary")
    parser.add_argument("file", type=Path, nargs="?", help="where to write results")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--build", type=Path, default=target / "boundary", help="build folder")
    return parser.parse_args()


def measure_all() -> list[Measured]:
    os.environ.update(HOST_ONLY)
    # Only now: it imports what was just built, and frameworks that read these settings.
    from groups import groups

    measured = []
    for group in groups():
        print(f"  {group.title}", file=sys.stderr, flush=True)
        measured.append(measure(group))
    return measured


def report_left_out(measured: list[Measured]) -> int:
    left_out = [(group.group.title, *pair) for group in measured for pair in group.left_out.items()]
    for title, label, reason in left_out:
        print(f"error: {title}: {label}: {reason}", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
