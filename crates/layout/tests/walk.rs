//! A walk beside a slow obvious model: the pairs of offsets at every index of the shape.

use ndbridge_layout::{Layout, Order, Walk, WalkAxis, WalkCursor, extent, is_nested};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let cases = if cfg!(miri) { 1 } else { 1000 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Offsets of both sides at every index of the shape, in C order.
fn pairs(shape: &[usize], source: &[isize], destination: &[isize]) -> Vec<(isize, isize)> {
    let steps = source.iter().zip(destination);
    shape.iter().zip(steps).fold(vec![(0, 0)], |heads, (&len, (&source, &destination))| {
        let step = |(from, to): (isize, isize)| {
            (0..len as isize).map(move |index| (from + index * source, to + index * destination))
        };
        heads.into_iter().flat_map(step).collect()
    })
}

/// Offsets of both sides along a walk, by its cursor.
fn walked(walk: &Walk) -> Vec<(isize, isize)> {
    let len = walk.axes().iter().map(|axis| axis.len).product();
    let mut cursor = WalkCursor::at(walk.axes(), 0);
    let (mut source, mut destination) = (0, 0);
    let next = |number: usize| {
        let here = (source, destination);
        assert_eq!(WalkCursor::at(walk.axes(), number).offsets(walk.axes()), here);
        assert_eq!(cursor.offsets(walk.axes()), here);
        let step = cursor.advance(walk.axes());
        (source, destination) = (source + step.0, destination + step.1);
        (walk.source_start + here.0, walk.destination_start + here.1)
    };
    let all = (0..len).map(next).collect();
    assert_eq!((source, destination), (0, 0), "from the last index to the first");
    all
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values
}

/// Steps that often join: packed ones in some order, some of them reversed, repeated or stretched.
fn strides(shape: Vec<usize>) -> impl Strategy<Value = Vec<isize>> {
    let axes: Vec<usize> = (0..shape.len()).collect();
    let changes = prop::collection::vec(prop_oneof![4 => Just(1), 1 => -2_isize..4], shape.len());
    (Just(axes).prop_shuffle(), changes).prop_map(move |(order, changes)| {
        let (mut strides, mut next) = (vec![0; shape.len()], 2);
        for axis in order {
            strides[axis] = next * changes[axis];
            next *= shape[axis].max(1) as isize * changes[axis].abs().max(1);
        }
        strides
    })
}

fn shape_and_sides() -> impl Strategy<Value = (Vec<usize>, Vec<isize>, Vec<isize>)> {
    prop::collection::vec(0_usize..5, 0..5)
        .prop_flat_map(|shape| (Just(shape.clone()), strides(shape.clone()), strides(shape)))
}

/// What everyone relies on who is given a walk.
fn check_form(axes: &[WalkAxis]) {
    assert!(axes.iter().all(|axis| axis.len >= 2 && axis.destination >= 0), "{axes:?}");
    assert!(axes.is_sorted_by(|a, b| a.destination >= b.destination), "{axes:?}");
    let is_one = |outer: WalkAxis, inner: WalkAxis| {
        let len = inner.len as isize;
        (outer.source, outer.destination) == (inner.source * len, inner.destination * len)
    };
    assert!(axes.windows(2).all(|pair| !is_one(pair[0], pair[1])), "neighbours joined: {axes:?}");
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn shr_6_a_walk_reaches_every_pair_of_elements((shape, source, destination) in shape_and_sides()) {
        let expected = pairs(&shape, &source, &destination);
        let Some(walk) = Walk::of_pair(&shape, &source, &destination) else {
            prop_assert!(expected.is_empty());
            return Ok(());
        };
        check_form(walk.axes());
        let found = walked(&walk);
        prop_assert_eq!(sorted(found), sorted(expected), "{:?}", walk);
    }

    #[test]
    fn shr_6_one_block_is_every_byte_once((shape, strides, _) in shape_and_sides()) {
        let below = extent(&shape, &strides, 2).unwrap().start.unsigned_abs();
        let layout = Layout::new(&shape, &strides, below, 2).unwrap();
        let offsets = sorted(layout.offsets().collect());
        let is_block = offsets.windows(2).all(|pair| pair[0] + 2 == pair[1]);
        prop_assert_eq!(layout.is_block(2), is_block);
        // Every axis clears what the narrower ones reach: the model of ndarray's own rule.
        if layout.is_empty() {
            prop_assert!(is_nested(&shape, &strides));
            return Ok(());
        }
        let steps = shape.iter().zip(&strides).filter(|(len, _)| **len > 1);
        let axes = sorted(steps.map(|(&len, step)| (step.unsigned_abs(), len)).collect());
        let reach = |inner: &[(usize, usize)]| -> usize {
            inner.iter().map(|&(step, len)| step * (len - 1)).sum()
        };
        let expected = (0..axes.len()).all(|axis| axes[axis].0 > reach(&axes[..axis]));
        prop_assert_eq!(is_nested(&shape, &strides), expected);
    }

    #[test]
    fn shr_6_extent_is_from_the_lowest_to_past_the_highest((shape, strides, _) in shape_and_sides()) {
        let starts = pairs(&shape, &strides, &strides).into_iter().map(|(offset, _)| offset);
        let (low, high) = (starts.clone().min().unwrap_or(0), starts.max().map_or(0, |last| last + 3));
        prop_assert_eq!(extent(&shape, &strides, 3), Some(low..high));
    }

    #[test]
    fn shr_6_steps_are_alike_where_every_offset_is((shape, one, other) in shape_and_sides()) {
        let layout = |strides: &[isize]| Layout::new(&shape, strides, 10_000, 2).unwrap();
        let (one, other) = (layout(&one), layout(&other));
        if one.steps_as(&other) {
            prop_assert!(one.offsets().eq(other.offsets()));
        } else if !one.is_empty() {
            prop_assert!(!one.offsets().eq(other.offsets()));
        }
        let mut axes = one.axes_by_stride();
        prop_assert!(axes.is_sorted_by_key(|&axis| one.strides()[axis].unsigned_abs()));
        axes.sort_unstable();
        prop_assert!(axes.into_iter().eq(0..one.ndim()));
    }
}

#[test]
fn contiguous_layouts_become_one_run() {
    let walk = Walk::of_pair(&[2, 1, 3, 4], &[12, 99, 4, 1], &[12, -7, 4, 1]).unwrap();
    assert_eq!(walk.axes(), [WalkAxis { len: 24, source: 1, destination: 1 }]);
    assert!(walk.is_block(1, 1) && !walk.is_block(1, 2));
    let layout = Layout::contiguous(&[2, 3, 4], 8, Order::F).unwrap();
    let walk = Walk::of_one(layout.shape(), layout.strides()).unwrap();
    assert_eq!(walk.axes(), [WalkAxis { len: 24, source: 8, destination: 8 }]);
    assert_eq!(Walk::of_one(&[], &[]).unwrap().axes(), []);
    assert_eq!(Walk::of_one(&[3, 0], &[4, 4]), None);
}

#[test]
fn the_destination_decides_the_order() {
    let walk = Walk::of_pair(&[2, 3], &[3, 1], &[1, 2]).unwrap();
    let [row, col] = [(3, 1, 2), (2, 3, 1)].map(|(len, source, destination)| WalkAxis {
        len,
        source,
        destination,
    });
    assert_eq!(walk.axes(), [row, col]);
}

#[test]
fn a_reversed_destination_is_walked_upwards() {
    let walk = Walk::of_pair(&[4], &[1], &[-1]).unwrap();
    assert_eq!(walk.axes(), [WalkAxis { len: 4, source: -1, destination: 1 }]);
    assert_eq!((walk.source_start, walk.destination_start), (3, -3));
}
