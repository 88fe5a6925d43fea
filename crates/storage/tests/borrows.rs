//! Who may borrow what: readers, writers, sharers, gates.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndbridge_storage::{
    Access, BorrowError, BorrowKind, Device, Gate, GateError, Region, Storage, gate,
};

use BorrowKind::{Read, Shared4, Shared8, Write};

const KINDS: [BorrowKind; 4] = [Read, Write, Shared4, Shared8];

/// `count` bytes from byte `first` of a storage.
fn run(storage: &Storage, first: usize, count: &'static [usize; 1]) -> Region<'static> {
    Region { start: storage.as_ptr() as usize + first, item_bytes: 1, shape: count, strides: &[1] }
}

fn both_kinds_of_memory() -> [(&'static str, Storage); 2] {
    let lent = Storage::zeroed(64).unwrap();
    lent.lend(Arc::new(gate::Always)).unwrap();
    [("private", Storage::zeroed(64).unwrap()), ("lent", lent)]
}

#[test]
fn mut_1_table_of_kinds() {
    for (memory, storage) in both_kinds_of_memory() {
        for held in KINDS {
            for wanted in KINDS {
                let first = storage.borrow(held, &run(&storage, 0, &[8])).unwrap();
                let over = storage.borrow(wanted, &run(&storage, 7, &[8])).is_ok();
                let beside = storage.borrow(wanted, &run(&storage, 8, &[8])).is_ok();
                let together = held == wanted && held != Write;
                assert_eq!(
                    (over, beside),
                    (together, true),
                    "{memory}: {wanted:?} beside {held:?}"
                );
                drop(first);
                assert!(
                    storage.borrow(wanted, &run(&storage, 7, &[8])).is_ok(),
                    "{memory}: released"
                );
            }
        }
    }
}

#[test]
fn mut_1_interleaved_writers() {
    for (memory, storage) in both_kinds_of_memory() {
        let every_fourth = |k| Region {
            start: storage.as_ptr() as usize + k,
            item_bytes: 2,
            shape: &[8],
            strides: &[8],
        };
        let writers: Vec<_> =
            [0, 2, 4, 6].map(|k| storage.borrow(Write, &every_fourth(k)).expect(memory)).into();
        for k in [0, 2, 5, 7] {
            assert!(storage.borrow(Read, &every_fourth(k)).is_err(), "{memory} {k}");
        }
        drop(writers);
        assert!(storage.borrow(Write, &run(&storage, 0, &[64])).is_ok(), "{memory}");
    }
}

#[test]
fn mut_1_conflict_names_both_places() {
    let storage = Storage::zeroed(8).unwrap();
    let held_line = line!() + 1;
    let _held = storage.borrow(Write, &run(&storage, 0, &[4])).unwrap();
    let error = storage.borrow(Read, &run(&storage, 3, &[4])).unwrap_err();
    let BorrowError::Conflict { wanted, wanted_at, held, held_at, ref held_bytes, .. } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!((wanted, held), (Read, Write));
    assert_eq!((held_at.line(), wanted_at.line()), (held_line, held_line + 1));
    let start = storage.as_ptr() as usize;
    assert_eq!(*held_bytes, start..start + 4);
    assert_eq!(
        error.to_string(),
        format!("already borrowed for writing at {held_at}, wanted for reading at {wanted_at}")
    );
    assert!(held_at.to_string().contains("borrows.rs:"), "{held_at}");
}

#[test]
fn mut_1_two_storages_over_the_same_lent_bytes() {
    let owner = Arc::new(Storage::zeroed(32).unwrap());
    let again = || lent_again(&owner, Arc::new(gate::Always));
    let (a, b) = (again(), again());
    assert!(!a.same_storage(&b));
    let held = a.borrow(Write, &run(&a, 0, &[16])).unwrap();
    assert!(matches!(b.borrow(Read, &run(&b, 15, &[1])), Err(BorrowError::Conflict { .. })));
    assert!(b.borrow(Write, &run(&b, 16, &[16])).is_ok());
    drop(held);
    drop(a);
    assert!(b.borrow(Write, &run(&b, 0, &[32])).is_ok());
}

/// Another storage over the bytes of `owner`, as a second producer makes one.
#[expect(unsafe_code, reason = "foreign memory")]
fn lent_again(owner: &Arc<Storage>, gate: Arc<dyn Gate>) -> Storage {
    use ndbridge_storage::{Foreign, ForeignAccess, Mutability};
    let foreign = Foreign {
        owner: Arc::clone(owner),
        name: "test",
        ptr: owner.as_ptr(),
        len_bytes: owner.len_bytes(),
        device: Device::Cpu,
        mutability: Mutability::Writable,
        access: ForeignAccess::Lent(gate),
    };
    // SAFETY: the owner keeps the bytes, and these tests do not touch them.
    unsafe { Storage::from_foreign(foreign) }.unwrap()
}

#[test]
fn mut_1_released_when_a_holder_panics() {
    for (memory, storage) in both_kinds_of_memory() {
        let died = catch_unwind(AssertUnwindSafe(|| {
            let _held = storage.borrow(Write, &run(&storage, 0, &[8])).unwrap();
            resume_unwind(Box::new("on purpose"));
        }));
        assert!(died.is_err());
        assert!(storage.borrow(Write, &run(&storage, 0, &[8])).is_ok(), "{memory}");
    }
}

#[test]
fn mut_1_owned_borrow_holds_bytes_and_storage() {
    let storage = Storage::zeroed(8).unwrap();
    let all = run(&storage, 0, &[8]);
    let held = storage.borrow_owned(Write, &all).unwrap();
    let other = storage.clone();
    assert_eq!(storage.handles(), 3);
    drop(storage);
    assert!(other.borrow(Read, &all).is_err());
    std::thread::spawn(move || drop(held)).join().unwrap();
    assert!(other.borrow(Read, &all).is_ok());
    assert!(other.is_unique());
}

#[test]
fn mut_1_no_bytes_never_conflict() {
    let storage = Storage::zeroed(8).unwrap();
    let _all = storage.borrow(Write, &run(&storage, 0, &[8])).unwrap();
    for strides in [[8, 1], [0, 0], [-7, 3]] {
        let start = storage.as_ptr() as usize;
        let region = Region { start, item_bytes: 1, shape: &[3, 0], strides: &strides };
        assert!(storage.borrow(Write, &region).is_ok(), "{strides:?}");
    }
}

#[test]
fn mut_1_threads_exclude_each_other() {
    let rounds = if cfg!(miri) { 4 } else { 20_000 };
    for (memory, storage) in both_kinds_of_memory() {
        let inside = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < rounds {
                        let Ok(held) = storage.borrow(Write, &run(&storage, 0, &[8])) else {
                            std::thread::yield_now();
                            continue;
                        };
                        assert!(!inside.swap(true, Ordering::Relaxed), "{memory}: two writers");
                        inside.store(false, Ordering::Relaxed);
                        drop(held);
                        taken += 1;
                    }
                });
            }
        });
    }
}

#[test]
fn mut_1_region_outside_is_refused() {
    let storage = Storage::zeroed(8).unwrap();
    let start = storage.as_ptr() as usize;
    for (start, shape, strides) in
        [(start - 1, [2], [1]), (start, [9], [1]), (start, [2], [-1]), (start + 7, [3], [-4])]
    {
        let region = Region { start, item_bytes: 1, shape: &shape, strides: &strides };
        let error = storage.borrow(Read, &region).unwrap_err();
        assert!(matches!(error, BorrowError::OutsideStorage { .. }), "{region:?}: {error}");
    }
    let ragged = Region { start, item_bytes: 1, shape: &[2], strides: &[] };
    assert!(matches!(storage.borrow(Read, &ragged), Err(BorrowError::Region(_))));
}

#[test]
fn mut_3_layouts_that_reach_a_byte_twice_are_read_not_written() {
    let storage = Storage::zeroed(64).unwrap();
    let start = storage.as_ptr() as usize;
    for (name, shape, strides) in [
        ("broadcast", [4, 3], [0, 4]),
        ("windows", [4, 3], [4, 4]),
        ("items over each other", [2, 2], [16, 2]),
        ("rows over each other, backwards", [2, 3], [8, 4]),
    ] {
        let region = Region { start, item_bytes: 4, shape: &shape, strides: &strides };
        assert!(storage.borrow(Read, &region).is_ok(), "{name}");
        assert!(storage.borrow(Shared8, &region).is_ok(), "{name}");
        let error = storage.borrow(Write, &region).unwrap_err();
        assert_eq!(error, BorrowError::ReachesTwice { wanted: Write }, "{name}");
    }
    for (name, shape, strides) in [
        ("columns", [4, 2], [16, 8]),
        ("transposed", [4, 3], [4, 16]),
        ("axis of one", [1, 3], [0, 4]),
        ("interlocked", [3, 2], [8, 12]),
    ] {
        let region = Region { start, item_bytes: 4, shape: &shape, strides: &strides };
        assert!(storage.borrow(Write, &region).is_ok(), "{name}");
    }
}

/// A gate that a test opens and closes.
#[derive(Default)]
struct Door(AtomicBool);

const CLOSED: GateError = GateError { gate: "the door", reason: "knock first" };

impl Gate for Door {
    fn check(&self) -> Result<(), GateError> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(CLOSED) }
    }
}

#[test]
fn mut_4_lent_memory_asks_its_gate_before_every_borrow() {
    let door = Arc::new(Door::default());
    let storage = Storage::zeroed(8).unwrap();
    assert!(storage.borrow(Write, &run(&storage, 0, &[8])).is_ok(), "private memory has no gate");
    storage.lend(door.clone()).unwrap();
    assert_eq!(storage.access(), Access::Lent);
    for open in [false, true, false] {
        door.0.store(open, Ordering::Relaxed);
        for kind in KINDS {
            let borrow = storage.borrow(kind, &run(&storage, 0, &[8])).map(drop);
            let owned = storage.borrow_owned(kind, &run(&storage, 0, &[8])).map(drop);
            let expected = if open { Ok(()) } else { Err(BorrowError::Gate(CLOSED)) };
            assert_eq!((&borrow, &owned), (&expected, &expected), "{kind:?}, open: {open}");
        }
    }
    assert_eq!(BorrowError::Gate(CLOSED).to_string(), "the door refuses: knock first");
}

#[test]
fn mut_4_foreign_memory_comes_with_its_gate() {
    let owner = Arc::new(Storage::zeroed(8).unwrap());
    let storage = lent_again(&owner, Arc::new(gate::Never));
    assert!(matches!(storage.borrow(Read, &run(&storage, 0, &[8])), Err(BorrowError::Gate(_))));
}

#[test]
fn mut_4_lending_waits_for_every_borrow() {
    for kind in KINDS {
        let storage = Storage::zeroed(64).unwrap();
        let held: Vec<_> =
            (0..9).map(|k| storage.borrow(kind, &run(&storage, k, &[1])).unwrap()).collect();
        for borrow in held {
            let error = storage.lend(Arc::new(gate::Always)).unwrap_err();
            let BorrowError::StillBorrowed { held, held_at, wanted_at } = error else {
                panic!("{error:?}")
            };
            assert_eq!((held, held_at.file(), wanted_at.file()), (kind, file!(), file!()));
            assert_eq!(storage.access(), Access::Private);
            drop(borrow);
        }
        storage.lend(Arc::new(gate::Always)).unwrap();
        assert_eq!(storage.access(), Access::Lent);
    }
}

#[test]
fn mut_4_lending_is_for_good_and_keeps_the_first_gate() {
    let storage = Storage::zeroed(8).unwrap();
    storage.lend(Arc::new(gate::Never)).unwrap();
    storage.lend(Arc::new(gate::Always)).unwrap();
    assert!(storage.borrow(Read, &run(&storage, 0, &[8])).is_err());
    let frozen = Storage::frozen(&b"bytes"[..]);
    frozen.lend(Arc::new(gate::Never)).unwrap();
    assert_eq!(frozen.access(), Access::Frozen);
}

#[test]
fn mut_1_no_owner_made_here_leads_past_the_ledger() {
    let numbers = Storage::from_vec(vec![1.0_f32; 4]);
    assert!(numbers.owner::<Vec<f32>>().is_none());
    assert_eq!(numbers.try_into_owner::<Vec<f32>>().unwrap(), [1.0; 4]);
}
