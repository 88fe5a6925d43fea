//! Every order in which threads can meet in the ledger:
//! `RUSTFLAGS="--cfg loom" cargo test -p ndbridge-ledger --test loom_ledger --release`.
#![cfg(loom)]
#![expect(unsafe_code, reason = "writes the bytes that the borrows are about")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::panic::Location;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use ndbridge_layout::{Footprint, Region};
use ndbridge_ledger::{AdoptError, BorrowKind, Ledger, SharedLedger};

use BorrowKind::{Read, Write};

/// A ledger and bytes that loom watches: two users at once, one writing, fail the model.
struct Watched {
    ledger: Ledger,
    bytes: UnsafeCell<u64>,
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { ledger: Ledger::new(), bytes: UnsafeCell::new(0) })
    }

    fn try_write(&self) -> bool {
        let Ok(token) = self.ledger.acquire(Write, &word(), Location::caller()) else {
            return false;
        };
        // SAFETY: borrowed for writing; loom checks it.
        self.bytes.with_mut(|bytes| unsafe { *bytes += 1 });
        self.ledger.release(token);
        true
    }

    fn try_read(&self) -> Option<u64> {
        let token = self.ledger.acquire(Read, &word(), Location::caller()).ok()?;
        // SAFETY: borrowed for reading; loom checks it.
        let value = self.bytes.with(|bytes| unsafe { *bytes });
        self.ledger.release(token);
        Some(value)
    }
}

fn word() -> Footprint {
    Footprint::of(&Region { start: 64, item_bytes: 8, shape: &[], strides: &[] }).unwrap()
}

#[test]
fn mut_1_writers_exclude_each_other() {
    loom::model(|| {
        let watched = Watched::new();
        let other = watched.clone();
        let thread = thread::spawn(move || other.try_write());
        let here = watched.try_write();
        let there = thread.join().unwrap();
        assert!(here || there, "one of two gets in");
        // What was written is seen after release.
        assert_eq!(watched.try_read(), Some(u64::from(here) + u64::from(there)));
    });
}

#[test]
fn mut_1_a_writer_excludes_readers() {
    loom::model(|| {
        let watched = Watched::new();
        let other = watched.clone();
        let thread = thread::spawn(move || other.try_write());
        let seen = watched.try_read();
        let written = thread.join().unwrap();
        assert!(seen.is_some() || written);
        assert!(seen.is_none_or(|value| value <= u64::from(written)));
    });
}

#[test]
fn mut_1_readers_do_not_wait_for_each_other() {
    loom::model(|| {
        let watched = Watched::new();
        let other = watched.clone();
        let thread = thread::spawn(move || other.try_read());
        assert_eq!(watched.try_read(), Some(0));
        assert_eq!(thread.join().unwrap(), Some(0));
        assert!(watched.ledger.is_idle());
    });
}

#[test]
fn mut_1_a_released_slot_hands_its_bytes_on() {
    loom::model(|| {
        let watched = Watched::new();
        // The slot is taken before the threads start, and released by one without the lock.
        let token = watched.ledger.acquire(Write, &word(), Location::caller()).unwrap();
        let other = watched.clone();
        let thread = thread::spawn(move || other.try_read());
        // SAFETY: borrowed for writing.
        watched.bytes.with_mut(|bytes| unsafe { *bytes = 5 });
        watched.ledger.release(token);
        assert!(matches!(thread.join().unwrap(), None | Some(5)));
    });
}

#[test]
fn mut_1_beyond_the_slots() {
    loom::model(|| {
        let watched = Watched::new();
        let far = |k: usize| {
            let region = Region { start: 1024 + 8 * k, item_bytes: 8, shape: &[], strides: &[] };
            Footprint::of(&region).unwrap()
        };
        let full: Vec<_> = (0..4)
            .map(|k| watched.ledger.acquire(Write, &far(k), Location::caller()).unwrap())
            .collect();
        let other = watched.clone();
        let thread = thread::spawn(move || other.try_write());
        let here = watched.try_write();
        let there = thread.join().unwrap();
        assert!(here || there);
        full.into_iter().for_each(|token| watched.ledger.release(token));
        assert!(watched.ledger.is_idle());
    });
}

#[test]
fn mut_1_writers_that_search_exclude_each_other() {
    loom::model(|| {
        let watched = Watched::new();
        // The word is one of some: whether others share it, a search has to tell, of more axes than
        // are searched under the lock.
        let words = |start: usize, shape: &[usize]| {
            let strides = &[32, 128, 1024][..shape.len()];
            Footprint::of(&Region { start, item_bytes: 8, shape, strides }).unwrap()
        };
        let far = words(72, &[2, 2, 2]);
        let beside = watched.ledger.acquire(Write, &far, Location::caller()).unwrap();
        let try_write = move |watched: &Watched| {
            let entered = watched.ledger.acquire(Write, &words(64, &[2, 2]), Location::caller());
            let Ok(token) = entered else { return false };
            // SAFETY: borrowed for writing; loom checks it.
            watched.bytes.with_mut(|bytes| unsafe { *bytes += 1 });
            watched.ledger.release(token);
            true
        };
        let other = watched.clone();
        let thread = thread::spawn(move || try_write(&other));
        let here = try_write(&watched);
        let there = thread.join().unwrap();
        assert!(here || there, "one of two gets in");
        watched.ledger.release(beside);
        assert_eq!(watched.try_read(), Some(u64::from(here) + u64::from(there)));
    });
}

#[test]
fn mut_1_adopting_and_borrowing_meet() {
    loom::model(|| {
        // Statics of two modules, but anew in every run.
        let [owner, module] = [(); 2].map(|()| &*Box::leak(Box::new(SharedLedger::new())));
        let adopter = thread::spawn(move || {
            // SAFETY: a table of this crate; both ledgers stay.
            unsafe { module.adopt(owner.table().into()) }
        });
        let token = module.acquire(Write, &word(), Location::caller()).unwrap();
        let is_seen = owner.acquire(Read, &word(), Location::caller()).map(|t| owner.release(t));
        // The second borrow of this module is where the first one is, whatever came in between.
        assert!(module.acquire(Read, &word(), Location::caller()).is_err());
        module.release(token);
        match adopter.join().unwrap() {
            Ok(()) => {}
            Err(AdoptError::StillBorrowed { held, .. }) => {
                assert_eq!((held, is_seen.is_ok()), (Write, true));
            }
            Err(error) => panic!("{error}"),
        }
        let token = module.acquire(Write, &word(), Location::caller()).unwrap();
        module.release(token);
        let token = owner.acquire(Write, &word(), Location::caller()).unwrap();
        owner.release(token);
    });
}
