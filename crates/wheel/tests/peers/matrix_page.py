"""docs/matrix.md, made of the cells that were seen."""

from collections import defaultdict

from promises import LEGEND

INTRODUCTION = """# What shares with whom

Written by the tests (`crates/wheel/tests/peers/test_matrix.py`), which make every one of these
arrays, take it by every call, hand it to every consumer, and compare pointers, bits, and writes in
both directions. They fail if a cell differs from this page. To write it again, run them with
`NDBRIDGE_WRITE_MATRIX=1`.

A refusal names its reason and a call that works; the tests follow that advice, too.
"""
IN = """## In: taking arrays

`S` shares, `C` copies, `-` is an error: the call is for other objects, or the array cannot be had.
The first row of a library is for all data types and layouts that no other row names.
"""
MEMORY = """## Out: handing on

`t` is the tensor of a shared array, or a copy. What happens depends on the data type, the layout,
and whether the memory may be written:

"""
TABLES = """A copy is writable, and in C order unless its source was in Fortran order. All memory
here begins at a multiple of 64 bytes, but for "offset", "unaligned" and fields of records.
`tf.from_dlpack(t)` is `tf.experimental.dlpack.from_dlpack(t.__dlpack__())`; `torch.frombuffer(t)` is
told the data type. With `jax_enable_x64` on, JAX takes 64 bits as it takes 32.
"""


def page(found, calls, consumers, groups, versions):
    """The whole page. Deterministic: no addresses, and the versions in the last line only."""
    parts = [INTRODUCTION, IN, in_table(found.taken, calls, groups)]
    parts += [MEMORY + memory_list(found.made), TABLES, legend()]
    for group in groups:
        parts += [f"### {group}\n", out_table(found.cells, consumers, group)]
    parts.append("Seen with " + ", ".join(f"{name} {version}" for name, version in versions) + ".")
    return "\n".join(parts) + "\n"


def memory_list(made):
    return "".join(
        f"- {access}: " + ", ".join(unique(p for p, a in made if a == access)) + "\n"
        for access in unique(access for _, access in made)
    )


def without_versions(text):
    return [line for line in text.splitlines() if not line.startswith("Seen with ")]


def legend():
    rows = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in LEGEND.items())
    return f"| cell | meaning |\n|---|---|\n{rows}"


def single(codes, place):
    assert len(codes) == 1, f"{place}: cells of one place differ: {sorted(codes)}"
    return next(iter(codes))


def merged(rows):
    """Groups keys of equal values, in the order in which they came."""
    groups = defaultdict(list)
    for key, value in rows:
        groups[value].append(key)
    return [(keys, value) for value, keys in groups.items()]


def unique(values):
    return list(dict.fromkeys(values))


def out_table(cells, consumers, group):
    places = unique((layout, access) for g, layout, access, _ in cells if g == group)
    rows = []
    for place in places:
        codes = (single(cells[group, *place, c], (group, *place, c)) for c in consumers)
        rows.append((place, tuple(codes)))
    # Memory of one layout with equal cells, then layouts of equal memory and cells.
    by_layout = []
    for layout in unique(layout for layout, _ in places):
        of_layout = [(access, row) for (name, access), row in rows if name == layout]
        by_layout += [(layout, (tuple(who), row)) for who, row in merged(of_layout)]
    lines = [
        "| " + " | ".join([", ".join(layouts), ", ".join(who), *row]) + " |"
        for layouts, (who, row) in merged(by_layout)
    ]
    return table(["layout", "memory", *consumers], lines)


def in_table(taken, calls, groups):
    producers = unique(producer for _, _, producer, _ in taken)
    lines = []
    for producer in producers:
        places = unique((g, layout) for g, layout, p, _ in taken if p == producer)
        rows = merged(
            (
                (group, layout),
                tuple(single(taken[group, layout, producer, c], (producer, c)) for c in calls),
            )
            for group, layout in places
        )
        # The most frequent row stands for all that is not named.
        rows.sort(key=lambda row: -len(row[0]))
        for number, (places_of_row, row) in enumerate(rows):
            named = "" if number == 0 else ": " + exceptions(places_of_row, places, groups)
            lines.append(f"| {producer}{named} | " + " | ".join(row) + " |")
    return table(["array of", *calls], lines)


def exceptions(places, all_places, groups):
    """Names the data types and layouts of some places, briefly."""
    dtypes = [group for group in groups if any(g == group for g, _ in places)]
    layouts = unique(layout for _, layout in places)
    every_layout = all((group, layout) in places for group, layout in all_places if group in dtypes)
    every_dtype = all(
        (group, layout) in places for group, layout in all_places if layout in layouts
    )
    if every_layout:
        return "; ".join(dtypes)
    if every_dtype:
        return ", ".join(layouts)
    return "; ".join(dtypes) + "; " + ", ".join(layouts)


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines]) + "\n"
