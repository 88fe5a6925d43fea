//! Every kernel, on every level, beside the slow obvious way.

use ndbridge_dtype::{DType, convert, match_dtype};
use ndbridge_layout::Walk;

use super::level::Level;
use super::schedule::{STREAM_FROM_BYTES, Schedule, Tuning};
use super::side::Side;
use crate::element_access::{load, store};

/// What the destination holds before: a byte that no copy may change around its elements.
const GUARD: u8 = 0xa5;

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for at in (1..len).rev() {
            order.swap(at, self.below(at + 1));
        }
        order
    }
}

/// Steps of one side, and the bytes from its lowest to its highest address.
#[derive(Clone, Debug)]
struct Lay {
    strides: Vec<isize>,
    first: usize,
    bytes: usize,
}

impl Lay {
    /// Axes from the densest to the widest step, each with `gaps` items between its elements.
    fn new(shape: &[usize], item: usize, order: &[usize], gaps: &[isize], start: usize) -> Self {
        let mut strides = vec![0; shape.len()];
        let mut dense = item as isize;
        for (&axis, &gap) in order.iter().zip(gaps) {
            let step = if gap == BROADCAST { 0 } else { dense * gap };
            strides[axis] = step;
            dense = dense.max(step.abs() * shape[axis] as isize);
        }
        let reach = |sign: isize| -> isize {
            let far = |(&len, &step): (&usize, &isize)| (len as isize - 1) * step;
            shape.iter().zip(&strides).map(far).filter(|far| far * sign > 0).sum()
        };
        let first = start + reach(-1).unsigned_abs();
        Self { first, bytes: first + reach(1) as usize + item, strides }
    }
}

/// A gap that means a step of 0.
const BROADCAST: isize = isize::MAX;

#[derive(Clone, Debug)]
struct Case {
    shape: Vec<usize>,
    from: DType,
    to: DType,
    source: Lay,
    destination: Lay,
}

fn offsets(shape: &[usize], lay: &Lay) -> Vec<usize> {
    let mut all = vec![lay.first as isize];
    for (&len, &step) in shape.iter().zip(&lay.strides) {
        all = all.iter().flat_map(|&at| (0..len as isize).map(move |n| at + n * step)).collect();
    }
    all.into_iter().map(|at| at as usize).collect()
}

/// Source bytes that are elements of every sort.
fn noise(dice: &mut Dice, case: &Case) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..case.source.bytes).map(|_| dice.below(256) as u8).collect();
    if cfg!(miri) {
        bytes.iter_mut().for_each(|byte| *byte &= 0x3f); // no NaN, whose bits Miri makes up
    }
    if case.from == DType::Bool {
        bytes.iter_mut().for_each(|byte| *byte &= 1);
    }
    bytes
}

/// Copies by schedule and by hand; the name of the kernel.
fn check(dice: &mut Dice, case: &Case, tuning: Tuning) -> &'static str {
    let source = noise(dice, case);
    // Room for any alignment: the case begins at a line, or as far after one as it says.
    let room = 64 + 16;
    let mut expected = vec![GUARD; case.destination.bytes + 2 * room];
    let start = room + expected.as_ptr().wrapping_add(room).addr().wrapping_neg() % 64;
    let mut got = expected.clone();
    let got_start = room + got.as_ptr().wrapping_add(room).addr().wrapping_neg() % 64;
    let pairs =
        offsets(&case.shape, &case.source).into_iter().zip(offsets(&case.shape, &case.destination));
    for (from, to) in pairs {
        let from = &source[from..from + case.from.item_bytes()];
        let to = &mut expected[start + to..][..case.to.item_bytes()];
        match_dtype!(case.from, S => match_dtype!(case.to, D => {
            if case.from == case.to {
                to.copy_from_slice(from);
            } else {
                // SAFETY: the bytes of one element.
                let value = unsafe { load::<S>(from.as_ptr()) };
                // SAFETY: as above.
                unsafe { store::<D>(to.as_mut_ptr(), convert(value)) };
            }
        }));
    }
    let from = Side {
        ptr: source.as_ptr().wrapping_add(case.source.first).cast_mut(),
        strides: &case.source.strides,
        dtype: case.from,
    };
    let to = Side {
        ptr: got.as_mut_ptr().wrapping_add(got_start + case.destination.first),
        strides: &case.destination.strides,
        dtype: case.to,
    };
    let walk = Walk::of_pair(&case.shape, from.strides, to.strides).expect("elements");
    let schedule = Schedule::new(walk, from, to, tuning);
    if dice.below(3) == 0 {
        let parts = schedule.parts();
        let cut = dice.below(parts + 1);
        // SAFETY: both sides are vectors of this function.
        unsafe { schedule.run_parts(cut..parts) };
        // SAFETY: as above.
        unsafe { schedule.run_parts(0..cut) };
    } else {
        // SAFETY: as above.
        unsafe { schedule.run() };
    }
    let (end, got_end) = (start + case.destination.bytes, got_start + case.destination.bytes);
    let is_guard = |bytes: &[u8]| bytes.iter().all(|&byte| byte == GUARD);
    let what = format!("{} {case:?} {tuning:?}", schedule.name());
    assert!(got[got_start..got_end] == expected[start..end], "{what}");
    assert!(is_guard(&got[..got_start]) && is_guard(&got[got_end..]), "wrote outside: {what}");
    schedule.name()
}

fn tunings() -> Vec<Tuning> {
    let thresholds = [0, 3000, STREAM_FROM_BYTES];
    let tuning = |level, from| Tuning { level, stream_from_bytes: from, shared_from_bytes: from };
    let both = |level| thresholds.map(|from| tuning(level, from));
    Level::available().flat_map(both).collect()
}

/// How many of many cases to run: under Miri, which is slow, a few.
const fn rounds(all: usize) -> usize {
    if cfg!(miri) { all.div_ceil(100) } else { all }
}

/// A length: under Miri a tenth.
const fn long(len: usize) -> usize {
    if cfg!(miri) { len.div_ceil(10) } else { len }
}

const ITEMS: [DType; 5] = [DType::U8, DType::U16, DType::F32, DType::F64, DType::C128];

/// Lengths around those of vectors, lines and squares.
const LENGTHS: &[usize] = if cfg!(miri) {
    &[2, 5, 16, 33]
} else {
    &[2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 130, 200]
};

/// Runs `case` for each kind of item and tuning, with starts at every offset in a line.
fn check_all(dice: &mut Dice, name: &str, all: usize, case: impl Fn(&mut Dice, DType) -> Case) {
    let mut named = 0;
    for round in 0..rounds(all) {
        for tuning in tunings() {
            let case = case(dice, ITEMS[round % ITEMS.len()]);
            named += usize::from(check(dice, &case, tuning) == name);
        }
    }
    assert!(cfg!(miri) || named * 2 > rounds(all), "{name} ran only {named} times");
}

fn plain(shape: Vec<usize>, item: DType, source: Lay, destination: Lay) -> Case {
    Case { shape, from: item, to: item, source, destination }
}

/// Bytes after the beginning of a line: any, but often whole items.
fn start(dice: &mut Dice, item: usize) -> usize {
    let any = dice.below(64);
    dice.of(&[0, any / item * item, any])
}

#[test]
fn blocks_and_rows_keep_every_byte() {
    let mut dice = Dice(1);
    check_all(&mut dice, "block", 60, |dice, item| {
        let (b, shape) = (item.item_bytes(), vec![dice.below(long(3000)) + 1]);
        let [from, to] = [0, 1].map(|_| Lay::new(&shape, b, &[0], &[1], start(dice, b)));
        plain(shape, item, from, to)
    });
    check_all(&mut dice, "rows", 200, |dice, item| {
        let b = item.item_bytes();
        let shape = vec![dice.below(long(20)) + 2, dice.below(80) + 17 / b];
        let wide = [(2, 3), (3, 1), (1, 2)].map(|(one, other)| (one, other));
        let (from_gap, to_gap) = dice.of(&wide);
        let from = Lay::new(&shape, b, &[1, 0], &[1, from_gap], start(dice, b));
        let to = Lay::new(&shape, b, &[1, 0], &[1, to_gap], start(dice, b));
        plain(shape, item, from, to)
    });
}

#[test]
fn transposes_of_every_length_keep_every_byte() {
    check_all(&mut Dice(2), "transpose", 400, |dice, item| {
        let b = item.item_bytes();
        let mut shape = vec![dice.of(LENGTHS), dice.of(LENGTHS)];
        if dice.below(12) == 0 {
            shape[0] = long(2500); // streamed bands, one after the other
        }
        let line = dice.of(&[1, 1, 2]);
        let sign = dice.of(&[1, 1, 1, -1]);
        let from = Lay::new(&shape, b, &[1, 0], &[sign, line], start(dice, b));
        let sign = dice.of(&[1, 1, 1, -1]);
        let to = Lay::new(&shape, b, &[0, 1], &[sign, line], start(dice, b));
        plain(shape, item, from, to)
    });
}

#[test]
fn channels_split_and_merge_at_every_length() {
    let mut dice = Dice(3);
    let shape = |dice: &mut Dice| vec![dice.below(long(700)) + 1, dice.below(3) + 2];
    check_all(&mut dice, "split", 300, |dice, item| {
        let (b, shape) = (item.item_bytes(), shape(dice));
        let from = Lay::new(&shape, b, &[1, 0], &[1, 1], start(dice, b));
        let gap = dice.of(&[1, 1, 2]);
        let to = Lay::new(&shape, b, &[0, 1], &[1, gap], start(dice, b));
        plain(shape, item, from, to)
    });
    check_all(&mut dice, "merge", 300, |dice, item| {
        let (b, shape) = (item.item_bytes(), shape(dice));
        let gap = dice.of(&[1, 1, 2, -1]);
        let from = Lay::new(&shape, b, &[0, 1], &[1, gap], start(dice, b));
        let to = Lay::new(&shape, b, &[1, 0], &[1, 1], start(dice, b));
        plain(shape, item, from, to)
    });
}

#[test]
fn steps_of_every_length_keep_every_byte() {
    let mut dice = Dice(4);
    for (name, gaps) in
        [("step", &[2, 3, 4, -2, -3, -4][..]), ("reverse", &[-1]), ("repeat", &[BROADCAST])]
    {
        check_all(&mut dice, name, 200, |dice, item| {
            let b = item.item_bytes();
            let most = dice.of(&[long(3000), 200]);
            let len = dice.below(most / b) + 2;
            let shape = vec![dice.below(4) + 1, len];
            let from_gaps = [dice.of(gaps), dice.of(&[1, 2])];
            let from = Lay::new(&shape, b, &[1, 0], &from_gaps, start(dice, b));
            let to_gaps = [1, dice.of(&[1, 2])];
            let to = Lay::new(&shape, b, &[1, 0], &to_gaps, start(dice, b));
            plain(shape, item, from, to)
        });
    }
}

#[test]
fn any_layout_to_any_layout_keeps_every_byte() {
    let axes: &[usize] = if cfg!(miri) { &[1, 2, 5] } else { &[1, 2, 3, 4, 5, 8, 9, 17] };
    check_all(&mut Dice(5), "transpose", 400, |dice, item| {
        let b = item.item_bytes();
        let shape: Vec<usize> = (0..dice.below(5) + 1).map(|_| dice.of(axes)).collect();
        let mut side = |gaps: &[isize]| {
            let gaps: Vec<isize> = shape.iter().map(|_| dice.of(gaps)).collect();
            let order = dice.order(shape.len());
            Lay::new(&shape, b, &order, &gaps, start(dice, b))
        };
        let from = side(&[1, 1, 1, 1, 1, 1, -1, 2, 5, BROADCAST]);
        let to = side(&[1, 1, 1, 1, 1, 1, -1, 2]);
        plain(shape, item, from, to)
    });
}

/// Permutations whose rows are short: put together in blocks where they are streamed.
#[test]
fn permutations_of_many_axes_keep_every_byte() {
    check_all(&mut Dice(7), "transpose", 60, |dice, item| {
        let b = item.item_bytes();
        let most = if cfg!(miri) { 5 } else { 16 };
        let shape: Vec<usize> = (0..4).map(|_| dice.below(most) + 2).collect();
        let gaps = [1, 1, 1, dice.of(&[1, 2])];
        let [from, to] = [0, 1].map(|_| {
            let order = dice.order(shape.len());
            Lay::new(&shape, b, &order, &gaps, start(dice, b))
        });
        plain(shape, item, from, to)
    });
}

/// Every pair of data types, long enough for vectors, over every way that a cast gathers.
#[test]
fn casts_of_every_pair_equal_convert_on_every_level() {
    let mut dice = Dice(6);
    let dtypes = || DType::ALL.into_iter().step_by(if cfg!(miri) { 6 } else { 1 });
    for (from, to) in dtypes().flat_map(|from| dtypes().map(move |to| (from, to))) {
        for round in 0..5 {
            let mut tuning = dice.of(&tunings());
            if round == 0 {
                tuning.level = Level::best();
            }
            let case = cast_case(&mut dice, round, from, to);
            check(&mut dice, &case, tuning);
        }
    }
}

fn cast_case(dice: &mut Dice, round: usize, from: DType, to: DType) -> Case {
    let (s, d) = (from.item_bytes(), to.item_bytes());
    let len = dice.below(long(700)) + 1;
    let few = dice.below(3) + 2;
    let (shape, order, gap) = match round {
        0 => (vec![len], vec![0], 1),
        1 => (vec![len], vec![0], dice.of(&[-1, 2, 3, 7, -4, BROADCAST])),
        2 => (vec![len, few], vec![1, 0], 1),
        3 => (vec![few, len], vec![1, 0], 1),
        _ => (vec![len.min(long(90)), dice.of(LENGTHS)], vec![1, 0], 1),
    };
    let source = Lay::new(&shape, s, &order, &[gap, dice.of(&[1, 1, 2])], start(dice, s));
    let order: Vec<usize> = (0..shape.len()).collect();
    let destination = Lay::new(&shape, d, &order, &[dice.of(&[1, 1, 1, 2]), 1], start(dice, d));
    Case { shape, from, to, source, destination }
}

/// All values of 16 bits as `f16` and `bf16`, and many patterns as `f32`, where bits decide.
#[test]
#[cfg_attr(miri, ignore = "compares the bits of NaNs, which Miri makes up")]
fn casts_of_edge_values_equal_convert_on_every_level() {
    let edges: Vec<u32> =
        [0, 0x3300_0000, 0x3380_0000, 0x3880_0000, 0x477f_f000, 0x7f80_0000, 0x4380_0000]
            .into_iter()
            .flat_map(|bits| {
                (-40..40)
                    .flat_map(move |near| [0, 1 << 31].map(|sign| (bits_near(bits, near)) | sign))
            })
            .chain((0..2000_u32).map(|n| n.wrapping_mul(0x0021_4365)))
            .collect();
    let bytes: Vec<u8> = edges.iter().flat_map(|bits| bits.to_ne_bytes()).collect();
    for from in [DType::F32, DType::F16, DType::BF16, DType::F64, DType::C64] {
        for to in DType::ALL.into_iter().filter(|&to| to != from) {
            for level in Level::available() {
                let len = bytes.len() / from.item_bytes();
                let mut got = vec![0_u8; len * to.item_bytes()];
                let convert_run = super::kernels::convert(level, from, to);
                // SAFETY: as many elements on both sides.
                unsafe { convert_run(bytes.as_ptr(), got.as_mut_ptr(), len) };
                match_dtype!(from, S => match_dtype!(to, D => for at in 0..len {
                    // SAFETY: the bytes of one element.
                    let value = unsafe { load::<S>(bytes[at * size_of::<S>()..].as_ptr()) };
                    let expected = convert::<S, D>(value);
                    let got = &got[at * size_of::<D>()..][..size_of::<D>()];
                    assert_eq!(got, bytemuck::bytes_of(&expected), "{from} to {to}, {level:?}: {value}");
                }));
            }
        }
    }
}

fn bits_near(bits: u32, near: i32) -> u32 {
    bits.wrapping_add_signed(near) & 0x7fff_ffff
}
