//! A slow obvious model of every view operation: which element of the base stands at each index of
//! the view.

use ndbridge_layout::{Index, Layout, LayoutError, Order, Parts, broadcast_shapes};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let cases = if cfg!(miri) { 1 } else { 400 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// All indices of a shape in C order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |before, &len| {
        let extend = |index: Vec<usize>| (0..len).map(move |i| [index.clone(), vec![i]].concat());
        before.into_iter().flat_map(extend).collect()
    })
}

/// Element `index` of `view` is element `to_base(index)` of `base`, and the walks over the view
/// agree.
fn check(base: &Layout, view: &Layout, to_base: impl Fn(&[usize]) -> Vec<usize>) {
    let expected: Vec<usize> = indices(view.shape())
        .iter()
        .map(|index| {
            base.offset_of(&to_base(index)).unwrap_or_else(|| panic!("{index:?} of {view:?}"))
        })
        .collect();
    let by_index: Vec<_> =
        indices(view.shape()).iter().filter_map(|index| view.offset_of(index)).collect();
    assert_eq!(by_index, expected, "{base:?} -> {view:?}");
    check_walks(view, &expected);
}

fn check_walks(view: &Layout, expected: &[usize]) {
    assert_eq!(view.len(), expected.len());
    assert_eq!(view.offsets().len(), expected.len());
    assert_eq!(view.offsets().collect::<Vec<_>>(), expected);
    let range = view.byte_range(3);
    match (expected.iter().min(), expected.iter().max()) {
        (Some(&low), Some(&high)) => assert_eq!(range, low..high + 3),
        _ => assert_eq!(range, view.offset()..view.offset()),
    }
}

prop_compose! {
    /// Any strides around an offset that keeps every element in range; `len` bounds every axis.
    fn bases(max_ndim: usize, len: usize)(
        axes in prop::collection::vec((0..=len, -40isize..=40), 0..=max_ndim),
        slack in 0usize..30,
    ) -> Layout {
        let (shape, strides): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
        let below = |(&n, &s): (&usize, &isize)| n.saturating_sub(1) * s.min(0).unsigned_abs();
        let offset = slack + shape.iter().zip(&strides).map(below).sum::<usize>();
        Layout::new(&shape, &strides, offset, 4).expect("in range")
    }
}

/// The positions that `range(len)[start:stop:step]` visits, as Python's reference defines them.
fn visited(len: usize, start: Option<isize>, stop: Option<isize>, step: isize) -> Vec<usize> {
    let len = len as isize;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let absolute = |bound: isize| (if bound < 0 { bound + len } else { bound }).clamp(low, high);
    let mut at = start.map_or(if step > 0 { low } else { high }, absolute);
    let stop = stop.map_or(if step > 0 { high } else { low }, absolute);
    let mut positions = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        positions.push(at as usize);
        at += step;
    }
    positions
}

fn entries() -> impl Strategy<Value = Vec<Index>> {
    let bound = || prop::option::of(-7isize..8);
    let step = (-3isize..4).prop_filter("a step", |&step| step != 0);
    let entry = prop_oneof![
        2 => (-2isize..2).prop_map(Index::At),
        4 => (bound(), bound(), step)
            .prop_map(|(start, stop, step)| Index::Slice { start, stop, step }),
        1 => Just(Index::NewAxis),
        1 => Just(Index::Ellipsis),
    ];
    prop::collection::vec(entry, 0..4)
}

/// For each axis of the base either one position, or the positions along an axis of the view.
fn visits(base: &Layout, indices: &[Index]) -> Vec<(Option<usize>, Vec<usize>)> {
    let named = indices.iter().filter(|i| !matches!(i, Index::NewAxis | Index::Ellipsis)).count();
    let (mut visits, mut view_axis) = (Vec::new(), 0);
    let implied = if indices.contains(&Index::Ellipsis) { None } else { Some(&Index::Ellipsis) };
    for index in indices.iter().chain(implied) {
        let len = base.shape().get(visits.len()).copied().unwrap_or_default();
        match *index {
            Index::At(at) => visits.push((None, vec![at.rem_euclid(len as isize) as usize])),
            Index::Slice { start, stop, step } => {
                visits.push((Some(view_axis), visited(len, start, stop, step)));
                view_axis += 1;
            }
            Index::NewAxis => view_axis += 1,
            Index::Ellipsis => {
                for _ in named..base.ndim() {
                    visits.push((Some(view_axis), (0..base.shape()[visits.len()]).collect()));
                    view_axis += 1;
                }
            }
        }
    }
    visits
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn shr_6_index_reaches_what_python_names(base in bases(3, 5), indices in entries()) {
        let Ok(view) = base.index(&indices) else { return Ok(()) };
        let visits = visits(&base, &indices);
        for (axis, positions) in &visits {
            prop_assert!(axis.is_none_or(|axis| view.shape()[axis] == positions.len()));
        }
        check(&base, &view, |index| {
            visits.iter().map(|(axis, at)| axis.map_or(at[0], |axis| at[index[axis]])).collect()
        });
    }

    #[test]
    fn shr_6_whole_axes_move(base in bases(4, 4), order in any::<prop::sample::Index>()) {
        let ndim = base.ndim();
        let shift = order.index(ndim.max(1));
        let axes: Vec<isize> = (0..ndim).map(|i| ((i + shift) % ndim) as isize).collect();
        check(&base, &base.permute(&axes).unwrap(), |index| {
            (0..ndim).map(|axis| index[(axis + ndim - shift) % ndim]).collect()
        });
        check(&base, &base.transpose(), |index| index.iter().rev().copied().collect());
        check(&base, &base.flip(&axes[..ndim / 2]).unwrap(), |index| {
            let flipped = |i: usize| axes[..ndim / 2].contains(&(i as isize));
            let last = |i: usize| base.shape()[i] - 1;
            (0..ndim).map(|i| if flipped(i) { last(i) - index[i] } else { index[i] }).collect()
        });
        if ndim > 0 {
            let last = ndim - 1;
            check(&base, &base.swap_axes(shift as isize, -1).unwrap(), |index| {
                let mut index = index.to_vec();
                index.swap(shift, last);
                index
            });
        }
    }

    #[test]
    fn shr_6_axes_of_one_come_and_go(base in bases(4, 2), at in any::<prop::sample::Index>()) {
        let axis = at.index(base.ndim() + 1);
        let unsqueezed = base.unsqueeze(axis as isize, 4).unwrap();
        check(&base, &unsqueezed, |index| [&index[..axis], &index[axis + 1..]].concat());
        check(&unsqueezed, &base, |index| [&index[..axis], &[0], &index[axis..]].concat());
        let kept: Vec<usize> = (0..base.ndim()).filter(|&axis| base.shape()[axis] != 1).collect();
        check(&base, &base.squeeze(None).unwrap(), |index| {
            let position = |axis| kept.iter().position(|&kept| kept == axis);
            (0..base.ndim()).map(|axis| position(axis).map_or(0, |at| index[at])).collect()
        });
    }

    #[test]
    fn shr_6_broadcast_repeats(
        base in bases(3, 2),
        new in prop::collection::vec(0usize..3, 0..3),
        len in 0usize..4,
    ) {
        let stretched = base.shape().iter().map(|&n| if n == 1 { len } else { n });
        let shape: Vec<usize> = new.iter().copied().chain(stretched).collect();
        let view = base.broadcast_to(&shape).unwrap();
        prop_assert_eq!(view.shape(), &shape[..]);
        check(&base, &view, |index| {
            let old = index[new.len()..].iter().zip(base.shape());
            old.map(|(&i, &n)| if n == 1 { 0 } else { i }).collect()
        });
        let wanted: Vec<isize> = new.iter().map(|&n| n as isize)
            .chain(base.shape().iter().map(|&n| if n == 1 { len as isize } else { -1 })).collect();
        prop_assert_eq!(&base.expand(&wanted).unwrap(), &view);
        prop_assert_eq!(&*broadcast_shapes(&[base.shape(), &shape, &[]]).unwrap(), &shape[..]);
    }

    #[test]
    fn shr_6_diagonal_keeps_the_difference(
        base in bases(4, 5),
        offset in -6isize..7,
        axes in any::<[prop::sample::Index; 2]>(),
    ) {
        let [first, second] = axes.map(|axis| axis.index(base.ndim().max(1)));
        let diagonal = base.diagonal(offset, first as isize, second as isize);
        let Ok(view) = diagonal else { return Ok(()) };
        let difference = |index: &[usize]| index[second] as isize - index[first] as isize;
        let on_diagonal = |index: &&Vec<usize>| difference(index) == offset;
        prop_assert_eq!(view.len(), indices(base.shape()).iter().filter(on_diagonal).count());
        check(&base, &view, |index| {
            let (&along, rest) = index.split_last().unwrap();
            let mut rest = rest.iter();
            (0..base.ndim()).map(|axis| match axis {
                _ if axis == first => along + offset.min(0).unsigned_abs(),
                _ if axis == second => along + offset.max(0).unsigned_abs(),
                _ => *rest.next().unwrap(),
            }).collect()
        });
    }

    #[test]
    fn shr_6_parts_join_to_the_whole(
        base in bases(3, 6),
        sections in 1usize..9,
        axis in any::<prop::sample::Index>(),
    ) {
        prop_assume!(base.ndim() > 0);
        let axis = axis.index(base.ndim());
        let mut start = 0;
        for part in base.split(Parts::Sections(sections), axis as isize).unwrap() {
            check(&base, &part, |index| {
                let mut index = index.to_vec();
                index[axis] += start;
                index
            });
            prop_assert!(part.shape()[axis].abs_diff(base.shape()[axis] / sections) <= 1);
            start += part.shape()[axis];
        }
        prop_assert_eq!(start, base.shape()[axis]);
    }

    #[test]
    fn shr_6_windows_slide(base in bases(3, 5), window in prop::collection::vec(0usize..6, 3)) {
        let ndim = base.ndim();
        let Ok(view) = base.sliding_windows(&window[..ndim], None) else { return Ok(()) };
        check(&base, &view, |index| {
            (0..ndim).map(|axis| index[axis] + index[ndim + axis]).collect()
        });
        let again = base.sliding_windows(&[window[0], 1], Some(&[-1, -1]));
        if let (Ok(again), true) = (again, ndim > 0) {
            check(&base, &again, |index| {
                let mut base_index = index[..ndim].to_vec();
                base_index[ndim - 1] += index[ndim] + index[ndim + 1];
                base_index
            });
        }
    }

    #[test]
    fn shr_6_reshape_keeps_the_order_of_elements(base in bases(3, 4), cut in 1isize..5) {
        for shape in [vec![-1], vec![cut, -1], vec![-1, cut], vec![1, -1, cut, 1]] {
            let Ok(view) = base.reshape(&shape, 4) else { continue };
            check_walks(&view, &base.offsets().collect::<Vec<_>>());
        }
        let same: Vec<isize> = base.shape().iter().map(|&n| n as isize).collect();
        prop_assert_eq!(&base.reshape(&same, 4).unwrap(), &base);
    }

    #[test]
    fn shr_6_reshape_refuses_only_what_no_strides_express(base in bases(3, 4)) {
        let steps: Vec<usize> = base.offsets().collect();
        let even = steps.windows(3).all(|w| w[1].wrapping_sub(w[0]) == w[2].wrapping_sub(w[1]));
        let flat = base.reshape(&[base.len() as isize], 4);
        prop_assert_eq!(flat.is_ok(), even, "{:?}", base);
        let needs_copy = matches!(flat, Err(LayoutError::NeedsCopy { .. }));
        prop_assert!(even || needs_copy);
    }

    #[test]
    fn shr_6_reinterpret_reaches_the_same_bytes(
        base in bases(2, 4),
        last in 0usize..7,
        old in 1usize..9,
        new in 1usize..9,
    ) {
        let shape = [base.shape(), &[last]].concat();
        let strides = [base.strides(), &[old as isize]].concat();
        let base = Layout::new(&shape, &strides, base.offset(), old).unwrap();
        let bytes = |layout: &Layout, item: usize| -> Vec<usize> {
            layout.offsets().flat_map(|offset| offset..offset + item).collect()
        };
        if let Ok(view) = base.reinterpret(old, new) {
            prop_assert_eq!(bytes(&view, new), bytes(&base, old));
            if new <= old || new % old == 0 {
                prop_assert_eq!(view.reinterpret(new, old).unwrap(), base);
            }
        } else {
            prop_assert_ne!(if new < old { old % new } else { last * old % new }, 0);
        }
    }

    #[test]
    fn shr_7_kept_order_has_no_gaps(base in bases(4, 3)) {
        let kept = base.keep_order(4, 2).unwrap();
        let mut offsets: Vec<usize> = kept.offsets().collect();
        offsets.sort_unstable();
        prop_assert_eq!(offsets, (0..base.len()).map(|i| i * 2).collect::<Vec<_>>());
    }

    #[test]
    fn contiguous_offsets_count_up(shape in prop::collection::vec(0usize..4, 0..4)) {
        let layout = Layout::contiguous(&shape, 8, Order::C).unwrap();
        let expected: Vec<usize> = (0..layout.len()).map(|i| i * 8).collect();
        check_walks(&layout, &expected);
        check_walks(&Layout::contiguous(&shape, 8, Order::F).unwrap().permute(
            &(0..shape.len() as isize).rev().collect::<Vec<_>>()).unwrap(), &expected);
        prop_assert!(layout.is_contiguous(Order::C, 8));
        prop_assert!(layout.transpose().is_contiguous(Order::F, 8));
        prop_assert_eq!(layout.size_bytes(8).unwrap(), expected.len() * 8);
    }
}
