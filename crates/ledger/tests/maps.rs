//! Mapped files in ledgers of two modules, at addresses that nobody looks at.
#![cfg(not(loom))]
#![expect(unsafe_code, reason = "takes its own tables for those of another module")]

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

use ndbridge_layout::{Footprint, Region, Span};
use ndbridge_ledger::{
    AdoptError, BorrowKind, CallSite, FileId, FilePiece, Gates, Held, MapEntry, MapMode,
    NotEntered, SharedLedger, Token, Wanted, gate,
};

use BorrowKind::{Read, Shared4, Write};
use MapMode::{CopyOnWrite, Read as ReadOnly, ReadWrite};

/// A module of its own for a test.
macro_rules! module {
    ($name:ident) => {
        static $name: SharedLedger = SharedLedger::new();
    };
}

fn adopt(module: &'static SharedLedger, owner: &'static SharedLedger) -> Result<(), AdoptError> {
    // SAFETY: a table of this crate, and statics stay.
    unsafe { module.adopt(owner.table().into()) }
}

/// `len` bytes of file number `file`, from byte `offset` on, at `start`.
fn mapped(index: u64, mode: MapMode, start: usize, offset: u64, len: usize) -> FilePiece {
    FilePiece::new(FileId { volume: 1, index }, offset, Span { start, end: start + len }, mode)
}

fn take(module: &SharedLedger, kind: BorrowKind, start: usize, len: usize) -> Result<Token, Held> {
    let region = Region { start, item_bytes: 1, shape: &[len], strides: &[1] };
    let bytes = Footprint::of(&region).expect("a region that memory can have");
    module.acquire(kind, &bytes, Location::caller())
}

fn is_free(module: &SharedLedger, kind: BorrowKind, start: usize, len: usize) -> bool {
    take(module, kind, start, len).map(|token| module.release(token)).is_ok()
}

/// A borrow that asks the gates of other maps, and is released at once.
fn ask(
    module: &SharedLedger,
    kind: BorrowKind,
    start: usize,
    len: usize,
) -> Result<(), NotEntered> {
    let (bytes, at) = (Span { start, end: start + len }, CallSite::named(c"here"));
    let entered = module.enter(&Wanted::contiguous(kind, bytes, at), Gates::Ask);
    entered.map(|token| module.release(token)).map_err(|why| *why)
}

const NEVER: NotEntered = NotEntered::Gate(gate::GateError {
    gate: "the closed gate",
    reason: "this memory is never borrowed: copy it",
});

/// Where this file's tests map something, and the module knows it.
fn known(module: &SharedLedger) -> Vec<usize> {
    let is_known = |&start: &usize| module.locate(Span { start, end: start + 1 }).is_some();
    (1..0x10).map(|k| 0x1000 * k).filter(is_known).collect()
}

#[test]
fn mut_8_maps_of_two_modules_are_one_memory() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    for [first, second] in [[&OWNER, &OTHER], [&OTHER, &OWNER], [&OTHER, &OTHER]] {
        let a = first.map(mapped(7, ReadWrite, 0x1000, 0, 100)).unwrap();
        let b = second.map(mapped(7, ReadOnly, 0x2000, 50, 100)).unwrap();
        let c = second.map(mapped(8, ReadOnly, 0x3000, 50, 100)).unwrap();
        let token = take(first, Write, 0x1000 + 60, 10).unwrap();
        let held = take(second, Read, 0x2000 + 19, 1).unwrap_err();
        assert_eq!((held.kind, held.bytes, held.in_file), (Write, 60..70, true));
        assert!(is_free(second, Read, 0x2000 + 20, 1));
        assert!(is_free(second, Read, 0x3000, 100), "another file");
        assert!(is_free(second, Write, 10, 10), "addresses that equal positions");
        first.release(token);
        let token = take(second, Read, 0x2000, 100).unwrap();
        assert!(!is_free(first, Write, 0x1000 + 99, 1));
        assert!(is_free(first, Write, 0x1000, 50));
        second.release(token);
        drop((a, b, c));
        // Now these are addresses of memory.
        let token = take(first, Write, 0x1000, 100).unwrap();
        assert!(is_free(second, Write, 0x2000, 100));
        first.release(token);
    }
}

#[test]
fn mut_8_maps_go_over_to_the_ledger_that_is_adopted() {
    module!(OWNER);
    module!(OTHER);
    let of_owner = OWNER.map(mapped(7, ReadWrite, 0x1000, 0, 100)).unwrap();
    let maps = [(0x2000, ReadOnly), (0x3000, CopyOnWrite), (0x4000, ReadWrite)]
        .map(|(start, mode)| OTHER.map(mapped(7, mode, start, 0, 100)).unwrap());
    maps[2].lend(Arc::new(gate::Never)).unwrap();
    // A borrow that the loan would disturb: nothing is taken over.
    let token = take(&OWNER, Read, 0x1000, 1).unwrap();
    assert!(matches!(adopt(&OTHER, &OWNER), Err(AdoptError::StillBorrowed { held: Read, .. })));
    assert_eq!(known(&OWNER), [0x1000]);
    OWNER.release(token);
    let token = take(&OTHER, Write, 0x3000, 1).unwrap();
    assert!(matches!(adopt(&OTHER, &OWNER), Err(AdoptError::StillBorrowed { .. })));
    assert_eq!(known(&OWNER), [0x1000]);
    OTHER.release(token);

    adopt(&OTHER, &OWNER).unwrap();
    assert_eq!(known(&OWNER), [0x1000, 0x2000, 0x3000, 0x4000]);
    let token = take(&OTHER, Read, 0x2000, 1).unwrap();
    assert!(!is_free(&OWNER, Write, 0x1000, 1));
    OTHER.release(token);
    assert_eq!(ask(&OWNER, Read, 0x1000, 1), Err(NEVER), "the gate of the other module");
    drop(maps);
    assert_eq!(ask(&OWNER, Read, 0x1000, 1), Ok(()));
    assert_eq!(known(&OWNER), [0x1000]);
    drop(of_owner);
    assert!(!OWNER.has_maps() && !OTHER.has_maps());
}

#[test]
fn mut_8_gates_are_asked_from_another_module() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    for [lender, asker] in [[&OWNER, &OTHER], [&OTHER, &OWNER]] {
        let lent = lender.map(mapped(7, ReadWrite, 0x1000, 0, 100)).unwrap();
        let map = asker.map(mapped(7, ReadOnly, 0x2000, 0, 100)).unwrap();
        let token = take(asker, Read, 0x2000, 1).unwrap();
        let gate = Arc::new(gate::Never);
        assert_eq!(lent.lend(gate.clone()).unwrap_err().kind, Read);
        asker.release(token);
        assert_eq!(ask(asker, Read, 0x2000, 100), Ok(()), "a loan that did not come about");
        lent.lend(gate.clone()).unwrap();
        assert_eq!(ask(asker, Read, 0x2000, 100), Err(NEVER));
        assert!(is_free(asker, Read, 0x2000, 100), "who passes the gates is let in");
        assert!(is_free(lender, Write, 0x1000, 100), "the refused borrow is struck out");
        drop(lent);
        assert_eq!(Arc::strong_count(&gate), 1, "handles are let go of");
        assert_eq!(ask(asker, Read, 0x2000, 100), Ok(()));
        drop(map);
    }
}

#[test]
fn mut_8_what_reaches_beyond_a_map_is_refused() {
    module!(OWNER);
    let a = OWNER.map(mapped(7, ReadWrite, 0x1000, 0, 0x100)).unwrap();
    let b = OWNER.map(mapped(7, ReadOnly, 0x1100, 0, 0x100)).unwrap();
    for (start, len) in [(0xfff, 2), (0x11ff, 2), (0x10ff, 2), (0x0, 0x9000)] {
        assert!(take(&OWNER, Read, start, len).is_err(), "{start:#x} + {len:#x}");
    }
    for (start, len) in [(0xfff, 1), (0x1200, 1), (0x10ff, 1), (0x1100, 0x100)] {
        assert!(is_free(&OWNER, Read, start, len), "{start:#x} + {len:#x}");
    }
    drop((a, b));
    assert!(is_free(&OWNER, Read, 0x0, 0x9000));
    // There is no number for the last byte.
    assert!(OWNER.map(mapped(7, ReadOnly, 0x1000, u64::MAX - 100, 50)).is_none());
    // Nor are addresses mapped twice, or none of them.
    let a = OWNER.map(mapped(7, ReadOnly, 0x1000, 0, 0x100)).unwrap();
    for (start, len) in [(0x1000, 0x100), (0x10ff, 1), (0xfff, 2), (0x2000, 0)] {
        assert!(OWNER.map(mapped(8, ReadOnly, start, 0, len)).is_none(), "{start:#x} + {len:#x}");
    }
    assert_eq!(known(&OWNER), [0x1000]);
    drop(a);
    assert!(!OWNER.has_maps());
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

const MAP_BYTES: usize = 64;

/// A borrow of bytes of a map, in words that can be counted.
#[derive(Clone, Copy, Debug)]
struct Plain {
    map: usize,
    kind: BorrowKind,
    first: usize,
    len: usize,
}

/// All that is mapped, by number; half of the files of each map are another one's, too.
struct Plan([Part; 9]);

#[derive(Clone, Copy)]
struct Part {
    file: u64,
    offset: u64,
    mode: MapMode,
}

impl Plan {
    fn new() -> Self {
        Self(std::array::from_fn(|k| {
            let mode = [ReadOnly, ReadWrite, CopyOnWrite][k % 3];
            let (file, offset) = ((k / 3 % 2) as u64, 20 * (k / 2 % 3) as u64);
            Part { file, offset, mode }
        }))
    }

    fn piece(&self, number: usize) -> FilePiece {
        let Part { file, offset, mode } = self.0[number];
        mapped(file, mode, 0x1000 * (number + 1), offset, MAP_BYTES)
    }

    /// The rule, byte by byte: what changes the file excludes all others, what a copy-on-write map
    /// keeps is of that map alone.
    fn exclude(&self, a: Plain, b: Plain) -> bool {
        let [a_map, b_map] = [self.0[a.map], self.0[b.map]];
        let bytes = |map: Part, plain: Plain| {
            let first = map.offset as usize + plain.first;
            (first..first + plain.len).collect::<Vec<_>>()
        };
        let (a_bytes, b_bytes) = (bytes(a_map, a), bytes(b_map, b));
        let meet = a_map.file == b_map.file && a_bytes.iter().any(|byte| b_bytes.contains(byte));
        let as_file = |mode, kind| if mode == CopyOnWrite { Read } else { kind };
        let in_file = !as_file(a_map.mode, a.kind).is_compatible_with(as_file(b_map.mode, b.kind));
        let in_map = a.map == b.map && !a.kind.is_compatible_with(b.kind);
        meet && (in_file || in_map)
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and long")]
fn mut_8_thousands_of_borrows_equal_a_count() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    let modules = [&OWNER, &OTHER];
    let (plan, mut numbers, mut refused) = (Plan::new(), Numbers(7), 0);
    let mut maps: HashMap<usize, MapEntry> = HashMap::new();
    let mut live: Vec<(Plain, usize, Token)> = Vec::new();
    for round in 0..20_000 {
        let number = numbers.below(9);
        let is_borrowed = live.iter().any(|(plain, ..)| plain.map == number);
        if numbers.below(10) == 0 && !is_borrowed && maps.remove(&number).is_some() {
            continue;
        }
        maps.entry(number)
            .or_insert_with(|| modules[numbers.below(2)].map(plan.piece(number)).unwrap());
        if live.len() >= 12 || numbers.below(3) == 0 && !live.is_empty() {
            let (_, module, token) = live.swap_remove(numbers.below(live.len()));
            modules[module].release(token);
        }
        let kind = match plan.0[number].mode {
            ReadOnly => Read,
            _ => [Read, Read, Write, Shared4][numbers.below(4)],
        };
        let (first, len) = (numbers.below(MAP_BYTES - 8), 1 + numbers.below(8));
        let (wanted, module) = (Plain { map: number, kind, first, len }, numbers.below(2));
        let expected = live.iter().any(|(plain, ..)| plan.exclude(*plain, wanted));
        refused += usize::from(expected);
        match take(modules[module], kind, 0x1000 * (number + 1) + first, len) {
            Ok(token) => {
                assert!(!expected, "round {round}: {wanted:?} was let in beside {live:?}");
                live.push((wanted, module, token));
            }
            Err(held) => assert!(expected, "round {round}: {wanted:?} refused for {held:?}"),
        }
    }
    assert!((2_000..18_000).contains(&refused), "{refused} refused");
    live.into_iter().for_each(|(_, module, token)| modules[module].release(token));
    drop(maps);
    assert!(!OWNER.has_maps());
    let everything = Span { start: 0, end: usize::MAX / 2 };
    let wanted = Wanted::contiguous(Write, everything, CallSite::named(c"here"));
    let token = OWNER.enter(&wanted, Gates::Pass).unwrap();
    OWNER.release(token);
}
