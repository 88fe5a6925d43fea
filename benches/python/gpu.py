"""Measures ndbridge beside torch on a GPU, in one process.

Usage: python gpu.py [--bytes N] [--native FILE] [FILE]. Writes Markdown to FILE, or prints it. The
interpreter needs ndbridge, numpy and torch. FILE of `--native` is what the benchmark in Rust wrote
with `--out`: its figures are added. Fails without a GPU and where a call does something else than
what it is measured for; a goal that is missed is no failure.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    arguments = parse()
    reason = why_not()
    if reason is not None:
        print(f"error: nothing can be measured: {reason}", file=sys.stderr)
        return 1
    # Only now: they import torch.
    import ndbridge as nd
    import numpy as np
    import torch

    from gpu_cases import cases
    from gpu_report import Results, markdown, read_native, this_machine
    from gpu_timing import measure

    measured = []
    for case in cases(arguments.bytes):
        print(f"  {case.group}: {case.title}, {case.bytes} B", file=sys.stderr, flush=True)
        measured.append(measure(case))
        del case
    versions = f"ndbridge {nd.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    machine = this_machine(nd.cuda.device_name(), versions)
    text = markdown(Results(measured, read_native(arguments.native)), machine)
    if arguments.file is None:
        print(text)
    else:
        arguments.file.write_text(text)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="ndbridge beside torch on a GPU")
    parser.add_argument("file", type=Path, nargs="?", help="where to write results")
    parser.add_argument("--native", type=Path, help="results of the benchmark in Rust")
    parser.add_argument("--bytes", type=int, default=512 << 20, help="size of what is copied there")
    return parser.parse_args()


def why_not() -> str | None:
    """What is missing; None if nothing is."""
    try:
        import ndbridge as nd
        import torch
    except ImportError as error:
        return str(error)
    try:
        nd.cuda.device_name()
    except Exception as error:  # noqa: BLE001, whatever it is, it is why
        return str(error)
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU"
    return None


if __name__ == "__main__":
    sys.exit(main())
