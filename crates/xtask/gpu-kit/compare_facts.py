"""What a driver answered otherwise than the emulated one.

Usage: compare_facts.py FACTS [EMULATED [TABLE]]. FACTS is what facts.py wrote on the GPU, EMULATED what
it wrote on the emulated driver, TABLE which calls are taken to be unsafe beside a capture, and how
that is known; the last two lie beside this script in a kit. Exit code 1 if anything differs: then the
emulated driver has to learn it. Calls of the table that were to be asked are answered at the end,
line by line as the table is to say it.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Belongs to the machine or the moment.
NOT_COMPARED = {("machine",), ("pools", "figures"), ("pools", "reuse")}


def differences(path, ours, theirs):
    """Places where two answers differ, with both."""
    if path in NOT_COMPARED:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            yield from differences((*path, name), ours.get(name), theirs.get(name))
    elif ours != theirs:
        yield path, ours, theirs


def read_table(text):
    """Answer and source of each call."""
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {call: (answer, known) for call, answer, known, _ in rows}


def forbids(capture, thread, place):
    """Whether the manual's rule of modes refuses a potentially unsafe call."""
    if thread == "RELAXED":
        return False
    if place == "own":
        return capture != "RELAXED"
    return capture == "GLOBAL" and thread == "GLOBAL"


def verdict(cells):
    """`safe`, `unsafe` by the rule of modes, or what fits neither."""
    refused = {cell for cell, codes in cells.items() if codes.split("/")[0] == "900"}
    by_rule = {cell for cell in cells if forbids(*cell.split())}
    answers = {codes for codes in cells.values()}
    if answers == {"0/0"}:
        return "safe"
    if refused == by_rule and answers <= {"0/0", "900/901"}:
        return "unsafe"
    return "neither: " + ", ".join(
        f"{cell} {codes}" for cell, codes in cells.items() if codes != "0/0"
    )


def answers(captures, table, machine):
    """Rows of the table as the driver wants them, where they are not so yet."""
    for call, (answer, known) in table.items():
        if call not in captures:
            continue
        found = verdict(captures[call])
        # The emulated driver can only contradict the table that it reads.
        if found == answer and (known != "to be asked" or machine.get("is_emulated")):
            continue
        agrees = "as assumed" if found == answer else f"assumed {answer}"
        yield f"{call}\t{found}\tobserved: {machine.get('driver')}\t({agrees}, {known})"


def main(facts, emulated=HERE / "facts-emulated.json", table=HERE / "capture_modes.tsv"):
    theirs, ours = (json.loads(Path(file).read_text()) for file in (facts, emulated))
    found = list(differences((), ours, theirs))
    for path, our, their in found:
        print(f"{' > '.join(path)}: emulated {json.dumps(our)}, driver {json.dumps(their)}")
    captures = theirs.get("captures", {})
    rows = list(answers(captures, read_table(Path(table).read_text()), theirs["machine"]))
    if rows:
        print("\nfor capture_modes.tsv:")
        print("\n".join(rows))
    print(f"\n{len(found)} differences, {len(rows)} calls answered")
    return 1 if found else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
