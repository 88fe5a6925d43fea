//! Slices by ndarray's own `s![]` give what ndarray gives, and errors where it panics.

use ndarray::{ArrayD, IxDyn, SliceInfo, SliceInfoElem, s};
use ndbridge_tensor::{Layout, LayoutError, Order};
use proptest::prelude::*;

fn counting(shape: &[usize]) -> ArrayD<usize> {
    let values = (0..shape.iter().product()).collect();
    ArrayD::from_shape_vec(shape, values).expect("as many values")
}

/// The view's shape and elements over an array that counts its elements.
fn seen(shape: &[usize], info: &[SliceInfoElem]) -> Result<(Vec<usize>, Vec<usize>), LayoutError> {
    let view = Layout::contiguous(shape, 1, Order::C)?.slice_ndarray(info)?;
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
