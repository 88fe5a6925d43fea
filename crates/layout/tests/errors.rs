//! What each refusal says: what was expected, what was found, and the call that would work.

use ndbridge_layout::{Index, Layout, LayoutError, Order, Parts, broadcast_shapes};

fn of(shape: &[usize]) -> Layout {
    Layout::contiguous(shape, 4, Order::C).expect("small")
}

#[test]
fn messages_name_values_and_a_way_out() {
    let two = of(&[2, 3]);
    let step_0 = Index::Slice { start: None, stop: None, step: 0 };
    let table: &[(Result<Layout, LayoutError>, &str)] = &[
        (
            Layout::new(&[2], &[], 0, 4),
            "shape has 1 axes, strides have 0: give one stride for each axis",
        ),
        (two.reshape(&[1; 65], 4), "at most 64 axes are supported, found 65"),
        (
            Layout::contiguous(&[1 << 62, 2], 4, Order::C),
            "shape (4611686018427387904, 2) with items of 4 bytes is too large: at most \
             9223372036854775807 bytes",
        ),
        (
            Layout::new(&[2], &[-4], 0, 4),
            "shape (2,), strides (-4,) from byte offset 0 reach outside the storage: \
             every element must start at byte 0 or later and end by 9223372036854775807",
        ),
        (two.select(2, 0), "axis 2 is out of bounds: expected -2 <= axis < 2"),
        (two.flip(&[0, -2]), "axis 0 is named more than once: name each axis at most once"),
        (two.permute(&[0]), "expected one entry for each of 2 axes, found 1"),
        (
            two.select(-1, 3),
            "index 3 is out of bounds for axis 1 of length 3: expected -3 <= index < 3",
        ),
        (
            two.index(&[Index::At(0); 3]),
            "at most 2 indices expected (new axes and the ellipsis not counted), found 3",
        ),
        (
            two.index(&[Index::Ellipsis; 2]),
            "at most one ellipsis expected, found 2: write full slices for the others",
        ),
        (two.index(&[step_0]), "slice step for axis 0 is 0: expected a positive or negative step"),
        (
            two.expand(&[2, -3]),
            "length -3 of axis 1 is negative: expected 0 or more (or one -1 where it is inferred)",
        ),
        (
            two.squeeze(Some(&[0])),
            "axis 0 has length 2, expected 1: call select or index to pick one element of it",
        ),
        (
            two.broadcast_to(&[2, 4]),
            "shape (2, 3) does not broadcast to (2, 4): expected length 1 or equal on every axis, \
             counted from the last",
        ),
        (
            two.expand(&[-1, 2, 3]),
            "axis 0 of the expanded shape is new: expected its length, found -1 (which keeps a \
             length)",
        ),
        (
            two.reshape(&[5, -1], 4),
            "cannot reshape 6 elements of shape (2, 3) into shape (5, -1): expected as many \
             elements",
        ),
        (two.reshape(&[-1, -1], 4), "at most one length can be -1, found 2 in (-1, -1)"),
        (
            two.transpose().reshape(&[6], 4),
            "shape (3, 2) with strides (4, 12) has no view of shape (6,): call reshape_copy \
             (copies)",
        ),
        (
            of(&[]).reinterpret(4, 2),
            "a tensor of rank 0 has items of 4 bytes, cannot be seen as items of 2: call \
             unsqueeze(0) first",
        ),
        (
            two.transpose().reinterpret(4, 2),
            "stride of the last axis is 12 bytes, expected 4: items of another size need a \
             contiguous last axis, \
             call copy(CopyOrder::C) first (copies)",
        ),
        (
            two.reinterpret(4, 8),
            "12 bytes are not a whole number of items of 8 bytes: expected an item size that \
             divides it",
        ),
        (
            two.sliding_windows(&[1, 4], None),
            "window of 4 is longer than axis 1 of length 3: expected at most 3",
        ),
        (two.sliding_windows(&[1], None), "expected one window length for each of 2 axes, found 1"),
    ];
    for (found, expected) in table {
        assert_eq!(found.as_ref().unwrap_err().to_string(), *expected);
    }
}

#[test]
fn messages_where_no_layout_is_asked_for() {
    let no_parts = of(&[3]).split(Parts::Sections(0), 0).unwrap_err();
    assert_eq!(no_parts.to_string(), "cannot split into 0 sections: expected 1 or more");
    assert_eq!(
        broadcast_shapes(&[&[2, 1], &[3], &[4]]).unwrap_err().to_string(),
        "shapes (2, 3) and (4,) do not broadcast together: expected equal lengths or 1 on every \
         axis, \
         counted from the last"
    );
}
