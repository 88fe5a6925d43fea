//! Who may borrow what of one ledger: by tables, and thousands of live borrows against a plain count
//! of who holds each byte.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{HashMap, HashSet};
use std::panic::Location;

use ndbridge_layout::{Footprint, Region};
use ndbridge_ledger::{BorrowKind, CallSite, Ledger, Token, Wanted};

use BorrowKind::{Read, Shared4, Shared8, Write};

const KINDS: [BorrowKind; 4] = [Read, Write, Shared4, Shared8];

/// One borrow in words that can be walked byte by byte.
#[derive(Clone, Copy, Debug)]
struct Plain {
    kind: BorrowKind,
    start: usize,
    shape: [usize; 2],
    strides: [usize; 2],
}

const ITEM_BYTES: usize = 2;
const ADDRESSES: usize = 32_768;

impl Plain {
    fn footprint(&self) -> Footprint {
        let Self { start, shape, .. } = self;
        let strides = self.strides.map(|stride| stride as isize);
        let region = Region { start: *start, item_bytes: ITEM_BYTES, shape, strides: &strides };
        Footprint::of(&region).unwrap()
    }

    fn bytes(self) -> impl Iterator<Item = usize> {
        let ([rows, columns], [down, right]) = (self.shape, self.strides);
        let items = (0..rows).flat_map(move |i| (0..columns).map(move |j| i * down + j * right));
        items.flat_map(move |item| (0..ITEM_BYTES).map(move |k| self.start + item + k))
    }
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// Mostly short ranges, some strided, a few long; one address space for all.
    fn plain(&mut self) -> Plain {
        let kind = KINDS[[0, 0, 0, 1, 1, 2][self.below(6)]];
        let shape = match self.below(200) {
            // Long, which Miri takes minutes to walk.
            0 if !cfg!(miri) => [40, 40],
            odd if odd % 2 == 1 => [1, 1 + self.below(6)],
            _ => [1 + self.below(3), 1 + self.below(4)],
        };
        let strides = [20 + 20 * self.below(2), 2 + 2 * self.below(3)];
        Plain { kind, start: self.below(ADDRESSES - 2_000), shape, strides }
    }
}

fn number(kind: BorrowKind) -> usize {
    KINDS.iter().position(|&other| other == kind).unwrap()
}

/// For each byte, how many borrows of each kind hold it.
#[derive(Default)]
struct Counts(HashMap<usize, [u16; KINDS.len()]>);

impl Counts {
    fn add(&mut self, plain: Plain, change: i16) {
        for byte in HashSet::<usize>::from_iter(plain.bytes()) {
            let count = &mut self.0.entry(byte).or_default()[number(plain.kind)];
            *count = count.checked_add_signed(change).unwrap();
        }
    }

    fn refuses(&self, plain: Plain) -> bool {
        let others = KINDS.map(|kind| !kind.is_compatible_with(plain.kind));
        plain.bytes().filter_map(|byte| self.0.get(&byte)).any(|counts| {
            counts.iter().zip(others).any(|(&count, conflicts)| conflicts && count > 0)
        })
    }
}

/// Bytes `first` to `first + len` of memory that nobody looks at.
fn run(first: usize, len: usize) -> Footprint {
    let region = Region { start: 0x1000 + first, item_bytes: 1, shape: &[len], strides: &[1] };
    Footprint::of(&region).unwrap()
}

#[test]
fn mut_1_table_of_kinds() {
    let (ledger, at) = (Ledger::new(), CallSite::named(c"here"));
    let is_free = |kind, bytes: &Footprint| {
        ledger.acquire(kind, bytes, at).map(|token| ledger.release(token)).is_ok()
    };
    for held in KINDS {
        for wanted in KINDS {
            let token = ledger.acquire(held, &run(0, 8), at).unwrap();
            let together = held == wanted && held != Write;
            assert_eq!(is_free(wanted, &run(7, 8)), together, "{wanted:?} beside {held:?}");
            assert!(is_free(wanted, &run(8, 8)), "{wanted:?} behind {held:?}");
            ledger.release(token);
            assert!(is_free(wanted, &run(7, 8)), "{held:?} is released");
        }
    }
}

#[test]
fn mut_1_interleaved_writers() {
    let (ledger, at) = (Ledger::new(), CallSite::named(c"here"));
    let every_fourth = |first: usize| {
        let (start, shape, strides) = (0x1000 + first, &[8], &[8]);
        Footprint::of(&Region { start, item_bytes: 2, shape, strides }).unwrap()
    };
    let writers =
        [0, 2, 4, 6].map(|first| ledger.acquire(Write, &every_fourth(first), at).unwrap());
    for first in [0, 2, 5, 7] {
        assert!(ledger.acquire(Read, &every_fourth(first), at).is_err(), "{first}");
    }
    writers.into_iter().for_each(|token| ledger.release(token));
    assert!(ledger.acquire(Write, &run(0, 64), at).is_ok());
}

#[test]
fn mut_1_a_refusal_names_the_borrow_in_the_way() {
    let ledger = Ledger::default();
    let here = CallSite::from(Location::caller());
    let token = ledger.acquire(Shared4, &run(0, 4), here).unwrap();
    let held = ledger.acquire(Read, &run(3, 4), Location::caller()).unwrap_err();
    assert_eq!((held.kind, held.at, held.bytes), (Shared4, here, 0x1000..0x1004));
    assert_eq!(here.to_string(), format!("{}:{}:{}", file!(), here.line(), here.column()));
    assert!(!ledger.is_idle() && Ledger::new().is_idle(), "every ledger is its own");
    ledger.release(token);
    assert!(ledger.is_idle());
}

#[test]
fn mut_1_no_bytes_never_conflict() {
    let (ledger, at) = (Ledger::new(), CallSite::named(c"here"));
    let all = ledger.acquire(Write, &run(0, 8), at).unwrap();
    let none = ledger.acquire(Write, &run(4, 0), at).unwrap();
    assert_eq!(none, Token::NOTHING);
    ledger.release(none);
    ledger.release(all);
    assert!(ledger.is_idle());
}

#[test]
fn mut_1_nothing_changes_hands_under_a_borrow() {
    let (ledger, at) = (Ledger::new(), CallSite::named(c"here"));
    for kind in KINDS {
        // The slots and the index.
        let tokens: Vec<_> =
            (0..9).map(|k| ledger.acquire(kind, &run(k, 1), at).unwrap()).collect();
        for token in tokens {
            let held = ledger.when_idle(|| unreachable!("a borrow lives")).unwrap_err();
            assert_eq!((held.kind, held.at), (kind, at));
            ledger.release(token);
        }
        assert!(matches!(ledger.when_idle(|| 7), Ok(7)));
    }
}

#[test]
fn mut_1_threads_exclude_each_other() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let rounds = if cfg!(miri) { 4 } else { 20_000 };
    let (ledger, at, inside) = (Ledger::new(), CallSite::named(c"here"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut taken = 0;
                while taken < rounds {
                    let Ok(token) = ledger.acquire(Write, &run(0, 8), at) else {
                        std::thread::yield_now();
                        continue;
                    };
                    assert!(!inside.swap(true, Relaxed), "two writers");
                    inside.store(false, Relaxed);
                    ledger.release(token);
                    taken += 1;
                }
            });
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long: the tables above are what Miri is to see")]
fn mut_1_thousands_of_borrows_equal_a_count() {
    let (rounds, most) = (40_000, 2_000);
    let (ledger, mut numbers, mut refused) = (Ledger::new(), Numbers(7), 0);
    let mut held = Counts::default();
    let mut live: Vec<(Plain, Token)> = Vec::new();
    for round in 0..rounds {
        if live.len() >= most || (!live.is_empty() && numbers.below(5) == 0) {
            let (plain, token) = live.swap_remove(numbers.below(live.len()));
            held.add(plain, -1);
            ledger.release(token);
        }
        let wanted = numbers.plain();
        let expected = held.refuses(wanted);
        refused += usize::from(expected);
        match ledger.acquire(wanted.kind, &wanted.footprint(), Location::caller()) {
            Ok(token) => {
                assert!(!expected, "round {round}: {wanted:?} was let in");
                held.add(wanted, 1);
                live.push((wanted, token));
            }
            Err(holder) => assert!(expected, "round {round}: {wanted:?} refused for {holder:?}"),
        }
    }
    assert!((rounds / 10..rounds * 9 / 10).contains(&refused), "{refused} of {rounds} refused");
    assert!(live.len() > 500, "{} live borrows", live.len());
    live.into_iter().for_each(|(_, token)| ledger.release(token));
    assert!(ledger.is_idle());
}

#[test]
fn mut_1_one_long_borrow_among_many_short_ones() {
    let ledger = Ledger::new();
    let at = Location::caller();
    let acquire = |kind, start, len| {
        let region = Region { start, item_bytes: 1, shape: &[len], strides: &[1] };
        ledger.acquire(kind, &Footprint::of(&region).unwrap(), at)
    };
    let far: Vec<_> = (0..100).map(|k| acquire(Write, 8 * k + 64, 8).unwrap()).collect();
    let long = acquire(Write, 10_000, 50_000).unwrap();
    for (start, len) in [(9_999, 2), (35_000, 1), (59_999, 100), (0, 100_000)] {
        assert!(acquire(Read, start, len).is_err(), "{start}+{len}");
    }
    for (start, len) in [(9_999, 1), (60_000, 100), (864, 9_136), (0, 64)] {
        let beside = acquire(Read, start, len);
        ledger.release(beside.unwrap_or_else(|held| panic!("{start}+{len}: {held:?}")));
    }
    ledger.release(long);
    far.into_iter().for_each(|token| ledger.release(token));
    assert!(ledger.is_idle());
}

/// Rows of 4 bytes, `step` bytes apart, that reach into the holes between each other.
fn comb(start: usize, rows: usize, step: isize) -> Footprint {
    let region = Region { start, item_bytes: 4, shape: &[rows], strides: &[step] };
    Footprint::of(&region).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn mut_1_the_lock_is_given_back_for_a_search() {
    let ledger = Ledger::new();
    let at = CallSite::from(Location::caller());
    let combs = 60;
    let held: Vec<_> =
        (0..combs).map(|k| ledger.acquire(Write, &comb(8 * k, 100, 1024), at).unwrap()).collect();
    let times_locked = |wanted: &Footprint| {
        // Asked under the lock, each time that it is taken.
        let times = std::cell::Cell::new(0);
        let count = || {
            times.set(times.get() + 1);
            true
        };
        let entered = ledger.enter_if(&Wanted::new(Read, wanted, at), count).unwrap();
        (times.get(), entered.map(|token| ledger.release(token)).is_ok())
    };
    // Beside all of them: some are searched at once, then 8 without the lock, then 32, then the rest.
    assert_eq!(times_locked(&comb(8 * combs, 100, 1024)), (4, true));
    let (times, is_in) = times_locked(&comb(8 * combs - 8, 100, 1024));
    assert!((1..=4).contains(&times) && !is_in, "{times}");
    held.into_iter().skip(2).for_each(|token| ledger.release(token));
    assert_eq!(times_locked(&comb(8 * combs, 100, 1024)), (1, true), "few are searched at once");
}

#[test]
fn mut_1_what_is_lent_during_a_search_is_not_entered() {
    let ledger = Ledger::new();
    let at = CallSite::from(Location::caller());
    let enter = |k| ledger.acquire(Write, &comb(8 * k, 100, 1024), at).unwrap();
    let held: Vec<_> = (0..9_usize).map(enter).collect();
    let times = std::cell::Cell::new(0);
    let is_first = || times.replace(times.get() + 1) == 0;
    let wanted = comb(8 * 9, 100, 1024);
    assert!(ledger.enter_if(&Wanted::new(Write, &wanted, at), is_first).is_none());
    assert_eq!(times.get(), 2);
    held.into_iter().for_each(|token| ledger.release(token));
    assert!(ledger.is_idle());
}

#[test]
fn mut_1_writers_that_search_exclude_each_other() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    const COMBS: usize = 3;
    let (ledger, at) = (Ledger::new(), CallSite::from(Location::caller()));
    let enter = |k| ledger.acquire(Write, &comb(100 + 4 * k, 100, 1024), at).unwrap();
    let beside: Vec<_> = (0..9_usize).map(enter).collect();
    let is_written = [const { AtomicBool::new(false) }; COMBS];
    std::thread::scope(|scope| {
        for first in 0..COMBS {
            let (ledger, is_written) = (&ledger, &is_written);
            scope.spawn(move || {
                let rounds = if cfg!(miri) { 5 } else { 3_000 };
                for k in (first..first + rounds).map(|k| k % COMBS) {
                    let wanted = comb(8 + 4 * k, 100, 1024);
                    let Ok(token) = ledger.acquire(Write, &wanted, at) else {
                        continue;
                    };
                    assert!(!is_written[k].swap(true, Relaxed), "two writers");
                    std::thread::yield_now();
                    is_written[k].store(false, Relaxed);
                    ledger.release(token);
                }
            });
        }
    });
    beside.into_iter().for_each(|token| ledger.release(token));
    assert!(ledger.is_idle());
}
