//! Slices by ndarray's own `s![]` give what ndarray gives, and errors where it panics.

use ndarray::{ArrayD, IxDyn, SliceInfo, SliceInfoElem, s};
use ndbridge_layout::{Layout, LayoutError, Order};
use proptest::prelude::*;

use super::sliced;

fn counting(shape: &[usize]) -> ArrayD<usize> {
    let values = (0..shape.iter().product()).collect();
    ArrayD::from_shape_vec(shape, values).expect("as many values")
}

/// The view's shape and elements over an array that counts its elements.
fn seen(shape: &[usize], info: &[SliceInfoElem]) -> Result<(Vec<usize>, Vec<usize>), LayoutError> {
    let view = sliced(&Layout::contiguous(shape, 1, Order::C)?, info)?;
    Ok((view.shape().to_vec(), view.offsets().collect()))
}

fn ndarrays(shape: &[usize], info: &[SliceInfoElem]) -> Option<(Vec<usize>, Vec<usize>)> {
    let info = SliceInfo::<_, IxDyn, IxDyn>::try_from(info).ok()?;
    let array = counting(shape);
    let view = std::panic::catch_unwind(|| {
        let view = array.slice(info.as_ref());
        (view.shape().to_vec(), view.iter().copied().collect())
    });
    view.ok()
}

fn entry() -> impl Strategy<Value = SliceInfoElem> {
    let slice = (-6isize..7, prop::option::of(-6isize..7), -3isize..4);
    prop_oneof![
        5 => slice.prop_map(|(start, end, step)| SliceInfoElem::Slice { start, end, step }),
        2 => (-5isize..6).prop_map(SliceInfoElem::Index),
        1 => Just(SliceInfoElem::NewAxis),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 4000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shr_6_slices_equal_ndarrays(
        shape in prop::collection::vec(0usize..6, 0..4),
        info in prop::collection::vec(entry(), 0..5),
    ) {
        let silent = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let expected = ndarrays(&shape, &info);
        std::panic::set_hook(silent);
        prop_assert_eq!(seen(&shape, &info).ok(), expected, "{:?} of {:?}", info, shape);
    }
}

#[test]
fn shr_6_a_negative_step_reverses_the_range() {
    let info = s![1..4;-1, ..;2];
    let info: &[SliceInfoElem] = info.as_ref();
    assert_eq!(seen(&[5, 3], info).unwrap(), (vec![3, 2], vec![9, 11, 6, 8, 3, 5]));
    assert_eq!(Some(seen(&[5, 3], info).unwrap()), ndarrays(&[5, 3], info));
}

#[test]
fn bounds_are_not_clamped() {
    let past = seen(&[3], s![..4].as_ref()).unwrap_err();
    assert_eq!(past, LayoutError::SliceOutOfBounds { axis: 0, bound: 4, len: 3 });
    let missing = seen(&[3, 2], s![..].as_ref()).unwrap_err();
    assert_eq!(missing, LayoutError::AxisCount { expected: 2, found: 1 });
}

fn signed() -> impl Strategy<Value = isize> {
    let extreme =
        [isize::MIN, isize::MIN + 1, isize::MAX, isize::MAX - 1, 1 << 62, -1 << 62, 1 << 32];
    prop_oneof![6 => -5isize..6, 2 => prop::sample::select(extreme.to_vec()), 1 => any::<isize>()]
}

fn extreme_entry() -> impl Strategy<Value = SliceInfoElem> {
    prop_oneof![
        signed().prop_map(SliceInfoElem::Index),
        (signed(), prop::option::of(signed()), signed())
            .prop_map(|(start, end, step)| SliceInfoElem::Slice { start, end, step }),
        Just(SliceInfoElem::NewAxis),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 3000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shr_6_extreme_slices_stay_inside(
        len in 0usize..5,
        stride in signed(),
        info in prop::collection::vec(extreme_entry(), 1..4),
    ) {
        let Ok(base) = Layout::new(&[len], &[stride], 1 << 40, 4) else { return Ok(()) };
        let Ok(view) = sliced(&base, &info) else { return Ok(()) };
        let (outer, inner) = (base.byte_range(4), view.byte_range(4));
        let is_inside = outer.start <= inner.start && inner.end <= outer.end;
        prop_assert!(is_inside || view.is_empty() && view.offset() == base.offset(), "{:?}", view);
    }
}

#[test]
fn the_refusal_names_the_bounds() {
    let refused = seen(&[2, 3], s![..3, ..].as_ref()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "slice bound 3 is out of bounds for axis 0 of length 2: expected -2 <= bound <= 2 \
         (`index` with `Index::Slice` clamps instead)"
    );
}
