//! Huge lengths, strides and indices: an error or a sound view, never a panic.

use ndbridge_layout::{Index, Layout, LayoutError, MAX_NDIM, Order, Parts, broadcast_shapes};
use proptest::prelude::*;

const MAX: usize = isize::MAX as usize;

const HUGE: [usize; 7] = [MAX, MAX - 1, MAX / 2, usize::MAX, 1 << 62, 1 << 32, 3 << 40];

fn cases() -> ProptestConfig {
    let cases = if cfg!(miri) { 1 } else { 3000 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn lens() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0usize..4,
        1 => prop::sample::select(HUGE.to_vec()),
    ]
}

fn signed() -> impl Strategy<Value = isize> {
    let extreme =
        [isize::MIN, isize::MIN + 1, isize::MAX, isize::MAX - 1, 1 << 62, -1 << 62, 1 << 32];
    prop_oneof![6 => -5isize..6, 2 => prop::sample::select(extreme.to_vec()), 1 => any::<isize>()]
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(lens(), 0..5)
}

prop_compose! {
    fn bases()(
        axes in prop::collection::vec((lens(), signed()), 0..5),
        offset in lens(),
        item in lens(),
    ) -> Option<(Layout, usize)> {
        let (shape, strides): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
        Layout::new(&shape, &strides, offset, item).ok().map(|layout| (layout, item))
    }
}

fn entry() -> impl Strategy<Value = Index> {
    let bound = || prop::option::of(signed());
    prop_oneof![
        signed().prop_map(Index::At),
        (bound(), bound(), signed()).prop_map(|(start, stop, step)| Index::Slice {
            start,
            stop,
            step
        }),
        Just(Index::NewAxis),
        Just(Index::Ellipsis),
    ]
}

/// Every view reaches bytes of its base only, and its own parts are a layout again.
fn check(base: &Layout, item: usize, view: Result<Layout, LayoutError>) {
    check_items(base, item, view, item);
}

fn check_items(base: &Layout, item: usize, view: Result<Layout, LayoutError>, view_item: usize) {
    let Ok(view) = view else { return };
    let remade = Layout::new(view.shape(), view.strides(), view.offset(), 0);
    assert_eq!(remade.as_ref(), Ok(&view), "from {base:?}");
    let (outer, inner) = (base.byte_range(item), view.byte_range(view_item));
    let inside = outer.start <= inner.start && inner.end <= outer.end;
    assert!(inside || view.is_empty() && view.offset() == base.offset(), "{view:?} of {base:?}");
    assert_eq!(view.offsets().next().is_none(), view.is_empty());
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_operation_on_any_layout(
        base in bases(),
        entries in prop::collection::vec(entry(), 0..5),
        numbers in prop::collection::vec(signed(), 0..5),
        (a, b, c) in (signed(), signed(), signed()),
        shape in shapes(),
        new_item in lens(),
    ) {
        let Some((base, item)) = base else { return Ok(()) };
        let check = |view| check(&base, item, view);
        check(base.index(&entries));
        check(base.select(a, b));
        check(base.slice_axis(a, Some(b), None, c));
        check(base.permute(&numbers));
        check(Ok(base.transpose()));
        check(base.swap_axes(a, b));
        check(base.flip(&numbers));
        check(base.squeeze(None));
        check(base.squeeze(Some(&numbers)));
        check(base.unsqueeze(a, item));
        check(base.broadcast_to(&shape));
        check(base.expand(&numbers));
        check(base.diagonal(a, b, c));
        check(base.sliding_windows(&shape, None));
        check(base.sliding_windows(&shape, Some(&numbers)));
        check(base.reshape(&numbers, item));
        check(base.reshape(&[a, -1], item));
        check(base.reshape(&shape.iter().map(|&n| n as isize).collect::<Vec<_>>(), item));
        for parts in [Parts::Sections(new_item), Parts::At(&numbers)] {
            let split = base.split(parts, a);
            split.into_iter().flatten().take(4).for_each(|part| check(Ok(part)));
        }
        check_items(&base, item, base.reinterpret(item, new_item), new_item);
        let _ = (base.keep_order(item, new_item), base.keep_order_strides(new_item));
        let _ = (base.byte_range(new_item), base.size_bytes(new_item));
        let _ = (base.with_offset(new_item, item), base.offset_of(&shape));
        let _ = (base.is_contiguous(Order::C, new_item), base.is_contiguous(Order::F, new_item));
        let _ = Layout::contiguous(&shape, item, Order::C);
        let _ = broadcast_shapes(&[&shape, base.shape()]);
    }

    #[test]
    fn a_view_of_a_view(
        base in bases(),
        steps in prop::collection::vec((entry(), signed(), signed(), 0usize..5), 0..6),
    ) {
        let Some((base, item)) = base else { return Ok(()) };
        let mut view = base;
        for (entry, a, b, operation) in steps {
            let next = match operation {
                0 => view.index(&[entry]),
                1 => view.flip(&[a.rem_euclid(3)]),
                2 => view.diagonal(b, 0, 1),
                3 => view.swap_axes(0, -1),
                _ => view.reshape(&[-1, 2], item),
            };
            check(&view, item, next.clone());
            view = next.unwrap_or(view);
        }
    }
}

#[test]
fn sizes_past_the_address_space_are_refused() {
    let too_large = |found: Result<Layout, LayoutError>| {
        assert!(matches!(found, Err(LayoutError::TooLarge { .. })), "{found:?}");
    };
    too_large(Layout::contiguous(&[1 << 62, 4, 0], 8, Order::C));
    too_large(Layout::contiguous(&[MAX], 2, Order::C));
    too_large(Layout::new(&[1 << 40, 1 << 40], &[0, 0], 0, 1));
    let one = Layout::contiguous(&[], 1, Order::C).unwrap();
    too_large(one.broadcast_to(&[1 << 40, 1 << 40]));
    too_large(one.broadcast_to(&[usize::MAX]));
    let row = Layout::new(&[1 << 20], &[8], 0, 8);
    let rows = row.and_then(|row| row.broadcast_to(&[1 << 40, 1 << 20]));
    too_large(rows.and_then(|rows| rows.reinterpret(8, 1)));
    assert!(one.broadcast_to(&[MAX]).unwrap().size_bytes(2).is_err());
}

#[test]
fn reach_outside_the_storage_is_refused() {
    let out_of_range = |shape: &[usize], strides: &[isize], offset, item| {
        let found = Layout::new(shape, strides, offset, item);
        assert!(matches!(found, Err(LayoutError::OutOfRange { .. })), "{found:?}");
    };
    out_of_range(&[2], &[-8], 7, 8);
    out_of_range(&[2], &[isize::MIN], MAX, 1);
    out_of_range(&[2], &[isize::MAX], 1, 1);
    out_of_range(&[2], &[isize::MAX], 0, 1);
    out_of_range(&[3], &[isize::MAX / 2 + 1], 0, 1);
    out_of_range(&[], &[], MAX, 1);
    out_of_range(&[0], &[0], usize::MAX, 1);
    assert!(Layout::new(&[2], &[-8], 8, 8).is_ok());
    assert!(Layout::new(&[1, 0], &[isize::MIN, isize::MIN], 3, 8).is_ok());
    assert!(Layout::new(&[1, 1], &[isize::MIN, isize::MAX], 3, 8).unwrap().flip(&[0, 1]).is_ok());
}

/// `np.arange(5.)[::step].strides`
#[test]
fn strides_without_meaning_wrap_as_numpys() {
    let five = Layout::contiguous(&[5], 8, Order::C).unwrap();
    for (step, stride) in [(isize::MIN, 8), (-isize::MAX, 8), (isize::MAX, -8), (1 << 62, 0)] {
        let view = five.slice_axis(0, None, None, step).unwrap();
        assert_eq!((view.shape(), view.strides()), (&[1][..], &[stride][..]), "{step}");
    }
}

#[test]
fn sixty_four_axes_and_no_more() {
    let most = Layout::contiguous(&[1; MAX_NDIM], 4, Order::C).unwrap();
    let too_many = |found: Result<Layout, LayoutError>| {
        assert_eq!(found, Err(LayoutError::TooManyAxes { found: MAX_NDIM + 1 }));
    };
    assert_eq!(most.transpose().ndim(), 64);
    too_many(Layout::contiguous(&[1; MAX_NDIM + 1], 4, Order::C));
    too_many(most.unsqueeze(0, 4));
    too_many(most.index(&[Index::NewAxis]));
    too_many(most.broadcast_to(&[1; MAX_NDIM + 1]));
    too_many(most.reshape(&[1; MAX_NDIM + 1], 4));
    too_many(most.sliding_windows(&[1], Some(&[0])));
}
