//! Both questions against a set of bytes, on layouts small enough to write down.

use std::collections::HashSet;

use ndbridge_layout::{
    DEFAULT_BUDGET, Footprint, Overlap, Region, may_overlap, reaches_a_byte_twice,
};

/// Middle of the address space, so that regions can walk both ways.
const BASE: usize = 1 << 20;

/// A small generator of numbers: the same on every run and platform.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % end
    }

    fn layout(&mut self) -> Layout {
        let item_bytes = [1, 1, 2, 3, 4, 8, 12, 16][self.below(8)];
        let axes = self.below(5);
        let shape = (0..axes).map(|_| [0, 1, 2, 2, 3, 3, 4, 5][self.below(8)].max(self.below(2)));
        let shape: Vec<usize> = shape.collect();
        let unit = [1, 1, item_bytes, item_bytes][self.below(4)];
        let strides = (0..axes).map(|_| unit as isize * (self.below(61) as isize - 30)).collect();
        Layout { start: BASE + unit * self.below(41) + self.below(2), item_bytes, shape, strides }
    }

    /// A sibling: same strides, other start and shape, as two views of one array have.
    fn sibling(&mut self, of: &Layout) -> Layout {
        let mut layout = of.clone();
        layout.start = BASE + self.below(60);
        layout.shape.iter_mut().for_each(|len| *len = 1 + self.below(4));
        layout
    }
}

#[derive(Clone, Debug)]
struct Layout {
    start: usize,
    item_bytes: usize,
    shape: Vec<usize>,
    strides: Vec<isize>,
}

impl Layout {
    fn region(&self) -> Region<'_> {
        let Self { start, item_bytes, .. } = *self;
        Region { start, item_bytes, shape: &self.shape, strides: &self.strides }
    }

    /// Every byte of every item, one by one.
    fn bytes(&self) -> Vec<usize> {
        let mut items = vec![self.start as isize];
        for (&len, &stride) in self.shape.iter().zip(&self.strides) {
            let along = |item: isize| (0..len).map(move |index| item + index as isize * stride);
            items = items.into_iter().flat_map(along).collect();
        }
        items
            .into_iter()
            .flat_map(|item| (0..self.item_bytes).map(move |k| item as usize + k))
            .collect()
    }
}

fn both_often(counts: [usize; 2]) {
    let all: usize = counts.iter().sum();
    assert!(counts.iter().all(|&count| count > all / 10), "one-sided: {counts:?}");
}

fn known(shared: bool) -> Overlap {
    if shared { Overlap::Overlapping } else { Overlap::Disjoint }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn mut_1_overlap_equals_sets_of_bytes() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut counts = [0, 0];
    for case in 0..12_000 {
        let a = numbers.layout();
        let b = if case % 2 == 0 { numbers.layout() } else { numbers.sibling(&a) };
        let a_bytes: HashSet<usize> = a.bytes().into_iter().collect();
        let expected = b.bytes().iter().any(|byte| a_bytes.contains(byte));
        counts[usize::from(expected)] += 1;
        let expected = known(expected);
        for (a, b) in [(&a, &b), (&b, &a)] {
            let found = may_overlap(&a.region(), &b.region(), DEFAULT_BUDGET);
            assert_eq!(found, expected, "case {case}: {a:?} and {b:?}");
        }
    }
    both_often(counts);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn mut_3_reaching_twice_equals_a_set_of_bytes() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut counts = [0, 0];
    for case in 0..12_000 {
        let layout = numbers.layout();
        let bytes = layout.bytes();
        let expected = bytes.iter().collect::<HashSet<_>>().len() < bytes.len();
        counts[usize::from(expected)] += 1;
        let found = reaches_a_byte_twice(&layout.region(), DEFAULT_BUDGET);
        assert_eq!(found, known(expected), "case {case}: {layout:?}");
    }
    both_often(counts);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn footprint_spans_the_bytes() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    for _ in 0..5_000 {
        let layout = numbers.layout();
        let bytes = layout.bytes();
        let footprint = Footprint::of(&layout.region()).unwrap();
        assert_eq!(footprint.is_empty(), bytes.is_empty(), "{layout:?}");
        if let (Some(first), Some(last)) = (bytes.iter().min(), bytes.iter().max()) {
            assert_eq!(footprint.addresses(), *first..last + 1, "{layout:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn mut_1_views_of_one_array_that_share_no_byte() {
    type View<'a> = (usize, usize, &'a [usize], &'a [isize]);
    let cases: [(&str, View<'_>, View<'_>, Overlap); 9] = [
        ("a[::2], a[1::2]", (0, 8, &[500], &[16]), (8, 8, &[500], &[16]), Overlap::Disjoint),
        ("a[::2], a[::-2]", (0, 8, &[500], &[16]), (7992, 8, &[500], &[-16]), Overlap::Disjoint),
        ("a[::2], a[::3]", (0, 8, &[500], &[16]), (0, 8, &[334], &[24]), Overlap::Overlapping),
        (
            "a[:, ::3], a[:, 1::3]",
            (0, 8, &[1000, 334], &[8000, 24]),
            (8, 8, &[1000, 333], &[8000, 24]),
            Overlap::Disjoint,
        ),
        (
            "a[::2, ::3], a[:, 1::3]",
            (0, 8, &[500, 334], &[16000, 24]),
            (8, 8, &[1000, 333], &[8000, 24]),
            Overlap::Disjoint,
        ),
        (
            "a[:, ::3], a[:, 1::2]",
            (0, 8, &[1000, 334], &[8000, 24]),
            (8, 8, &[1000, 500], &[8000, 16]),
            Overlap::Overlapping,
        ),
        (
            "z.real, z.imag",
            (0, 8, &[300, 400], &[6400, 16]),
            (8, 8, &[300, 400], &[6400, 16]),
            Overlap::Disjoint,
        ),
        (
            "record['a'], record['b']",
            (0, 1, &[100_000], &[9]),
            (1, 8, &[100_000], &[9]),
            Overlap::Disjoint,
        ),
        (
            "red of an image, its transpose's blue",
            (0, 1, &[480, 640], &[1920, 3]),
            (2, 1, &[640, 480], &[3, 1920]),
            Overlap::Disjoint,
        ),
    ];
    for (name, a, b, expected) in cases {
        let region = |(offset, item_bytes, shape, strides): View<'static>| Region {
            start: BASE + offset,
            item_bytes,
            shape,
            strides,
        };
        assert_eq!(may_overlap(&region(a), &region(b), DEFAULT_BUDGET), expected, "{name}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn budget_runs_out_as_unknown() {
    // Subset sum with large, coprime steps: no shortcut applies.
    let strides: Vec<isize> = (0..24).map(|k| 1_000_003 + 7_919 * k * k).collect();
    let shape = vec![2; 24];
    let sum: isize = strides.iter().sum();
    let a = Region { start: BASE, item_bytes: 1, shape: &shape, strides: &strides };
    let b = Region { start: BASE + sum as usize / 2, item_bytes: 1, shape: &[], strides: &[] };
    assert_eq!(may_overlap(&a, &b, 100), Overlap::Unknown);
    assert_eq!(reaches_a_byte_twice(&a, 100), Overlap::Unknown);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn impossible_regions_are_unknown() {
    let whole = Region { start: 0, item_bytes: 1, shape: &[], strides: &[] };
    for (shape, strides) in [
        (&[2, 2][..], &[1][..]),
        (&[usize::MAX], &[2]),
        (&[3], &[isize::MIN]),
        (&[2, 2], &[isize::MAX, isize::MAX]),
        (&[2], &[-1]),
    ] {
        let region = Region { start: 0, item_bytes: 1, shape, strides };
        assert!(Footprint::of(&region).is_err(), "{region:?}");
        assert_eq!(may_overlap(&region, &whole, DEFAULT_BUDGET), Overlap::Unknown, "{region:?}");
        assert_eq!(reaches_a_byte_twice(&region, DEFAULT_BUDGET), Overlap::Unknown, "{region:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn the_ends_of_the_address_space_are_usable() {
    let last = Region { start: usize::MAX - 8, item_bytes: 8, shape: &[1], strides: &[0] };
    let down = Region { start: usize::MAX - 4, item_bytes: 4, shape: &[2], strides: &[-4] };
    assert_eq!(may_overlap(&last, &down, DEFAULT_BUDGET), Overlap::Overlapping);
    let half = isize::MAX as usize;
    let lower = Region { start: 0, item_bytes: 1, shape: &[half], strides: &[1] };
    let upper = Region { start: half, item_bytes: 1, shape: &[half / 3], strides: &[3] };
    assert_eq!(may_overlap(&lower, &upper, DEFAULT_BUDGET), Overlap::Disjoint);
    let odd = Region { start: 1, item_bytes: 1, shape: &[half / 2], strides: &[2] };
    let even = Region { start: 0, item_bytes: 1, shape: &[half / 2], strides: &[2] };
    assert_eq!(may_overlap(&odd, &even, DEFAULT_BUDGET), Overlap::Disjoint);
    assert_eq!(may_overlap(&odd, &lower, DEFAULT_BUDGET), Overlap::Overlapping);
}
