"""What the comparison of two drivers' answers says."""

import json

import compare_facts

TABLE = """# call\tanswer\tknown\tfrom
cuMemAlloc\tunsafe\tdocumented\tthe manual
cuMemFreeAsync\tunsafe\tto be asked\ta guess
cuEventRecord\tsafe\tto be asked\ta guess
"""
CELLS = [
    f"{capture} {thread} {place}"
    for capture in ("GLOBAL", "THREAD_LOCAL", "RELAXED")
    for thread in ("GLOBAL", "THREAD_LOCAL", "RELAXED")
    for place in ("own", "other")
]
SAFE = dict.fromkeys(CELLS, "0/0")
UNSAFE = {cell: "900/901" if compare_facts.forbids(*cell.split()) else "0/0" for cell in CELLS}
EMULATED = {
    "machine": {"driver": 13000, "is_emulated": True},
    "pools": {"figures": [1, 2], "a bound": True},
    "captures": {"cuMemAlloc": UNSAFE, "cuMemFreeAsync": UNSAFE, "cuEventRecord": SAFE},
}


def compared(tmp_path, capsys, facts):
    for name, value in (("theirs", facts), ("ours", EMULATED)):
        (tmp_path / name).write_text(json.dumps(value))
    (tmp_path / "table").write_text(TABLE)
    code = compare_facts.main(tmp_path / "theirs", tmp_path / "ours", tmp_path / "table")
    return code, capsys.readouterr().out.strip().splitlines()


def test_the_same_answers_differ_in_nothing(tmp_path, capsys):
    assert compared(tmp_path, capsys, EMULATED) == (0, ["0 differences, 0 calls answered"])


def test_what_belongs_to_the_machine_is_not_compared(tmp_path, capsys):
    facts = {**EMULATED, "pools": {"figures": [3, 4], "a bound": True}}
    code, lines = compared(tmp_path, capsys, facts)
    assert (code, lines[-1]) == (0, "0 differences, 0 calls answered")
    facts["pools"] = {"figures": [3, 4], "a bound": False}
    code, lines = compared(tmp_path, capsys, facts)
    assert (code, lines[0]) == (1, "pools > a bound: emulated true, driver false")


def test_what_was_to_be_asked_is_answered_as_rows_of_the_table(tmp_path, capsys):
    captures = {**EMULATED["captures"], "cuMemFreeAsync": SAFE}
    facts = {**EMULATED, "machine": {"driver": 13010}, "captures": captures}
    code, lines = compared(tmp_path, capsys, facts)
    rows = lines[lines.index("for capture_modes.tsv:") + 1 : -2]
    assert rows == [
        "cuMemFreeAsync\tsafe\tobserved: 13010\t(assumed unsafe, to be asked)",
        "cuEventRecord\tsafe\tobserved: 13010\t(as assumed, to be asked)",
    ]
    assert (code, lines[-1]) == (1, "5 differences, 2 calls answered")


def test_an_answer_that_fits_no_rule_is_told_by_cell(tmp_path, capsys):
    captures = {**EMULATED["captures"], "cuMemAlloc": {**UNSAFE, "RELAXED RELAXED own": "900/901"}}
    _, lines = compared(tmp_path, capsys, {**EMULATED, "captures": captures})
    row = next(line for line in lines if line.startswith("cuMemAlloc\t"))
    assert row.split("\t")[1].startswith("neither: ") and "RELAXED RELAXED own 900/901" in row
