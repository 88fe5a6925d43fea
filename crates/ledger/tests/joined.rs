//! Two ledgers, as two extension modules of one process have them, joined by a table.
#![cfg(not(loom))]
#![expect(unsafe_code, reason = "takes its own tables for those of another module")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::panic::Location;
use std::sync::OnceLock;

use ndbridge_layout::{Footprint, Region};
use ndbridge_ledger::{
    AdoptError, BorrowKind, CallSite, Held, LedgerTable, SharedLedger, TABLE_VERSION, Token,
};

use BorrowKind::{Read, Shared4, Write};

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

/// `len` items of 8 bytes from 0x1000 + 8 * `first`, `step` items apart.
fn items(first: usize, len: usize, step: usize) -> Footprint {
    let (start, strides) = (0x1000 + 8 * first, [8 * step as isize]);
    Footprint::of(&Region { start, item_bytes: 8, shape: &[len], strides: &strides }).unwrap()
}

fn take(module: &SharedLedger, kind: BorrowKind, bytes: &Footprint) -> Result<Token, Held> {
    module.acquire(kind, bytes, CallSite::named(c"somewhere"))
}

fn is_free(module: &SharedLedger, kind: BorrowKind, bytes: &Footprint) -> bool {
    take(module, kind, bytes).map(|token| module.release(token)).is_ok()
}

#[test]
fn mut_1_joined_modules_see_each_other() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    for (holder, asker) in [(&OWNER, &OTHER), (&OTHER, &OWNER), (&OTHER, &OTHER)] {
        for (held, wanted, together) in
            [(Read, Read, true), (Read, Write, false), (Write, Read, false), (Shared4, Read, false)]
        {
            // The even items, by axes; the odd ones between them are free.
            let token = take(holder, held, &items(0, 9, 2)).unwrap();
            let case = format!("{held:?} beside {wanted:?}");
            assert_eq!(is_free(asker, wanted, &items(4, 2, 1)), together, "{case}");
            assert!(is_free(asker, wanted, &items(1, 8, 2)), "{case}");
            holder.release(token);
            assert!(is_free(asker, Write, &items(0, 17, 1)), "{case}, released");
        }
    }
}

#[test]
fn mut_1_a_conflict_names_the_place_in_the_other_module() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    let here = CallSite::from(Location::caller());
    let named = CallSite::named(c"rust-numpy");
    for (place, text) in [(here, format!("{}:{}:{}", file!(), here.line(), here.column()))]
        .into_iter()
        .chain([(named, "rust-numpy".to_owned())])
    {
        for (holder, asker) in [(&OWNER, &OTHER), (&OTHER, &OWNER)] {
            let token = holder.acquire(Shared4, &items(2, 3, 1), place).unwrap();
            let held = take(asker, Write, &items(4, 9, 1)).unwrap_err();
            assert_eq!(
                held,
                Held { kind: Shared4, at: place, bytes: 0x1010..0x1028, in_file: false }
            );
            assert_eq!(held.at.to_string(), text);
            holder.release(token);
        }
    }
}

#[test]
fn mut_1_many_borrows_through_a_table() {
    module!(OWNER);
    module!(OTHER);
    adopt(&OTHER, &OWNER).unwrap();
    // More than the ledger has slots for.
    let tokens: Vec<_> = (0..20).map(|k| take(&OTHER, Write, &items(k, 1, 1)).unwrap()).collect();
    assert!((0..20).all(|k| !is_free(&OWNER, Read, &items(k, 1, 1))));
    tokens.into_iter().for_each(|token| OTHER.release(token));
    assert!(is_free(&OWNER, Write, &items(0, 20, 1)));
    // No bytes: no borrow, and nothing to release.
    let none = take(&OTHER, Write, &items(0, 0, 1)).unwrap();
    assert!(is_free(&OWNER, Write, &items(0, 1, 1)));
    OTHER.release(none);
}

#[test]
fn mut_1_adopting_waits_for_every_borrow() {
    module!(OWNER);
    module!(OTHER);
    let at = CallSite::from(Location::caller());
    for count in [1, 9] {
        let tokens: Vec<_> =
            (0..count).map(|k| OTHER.acquire(Read, &items(k, 1, 1), at).unwrap()).collect();
        for token in tokens {
            let error = adopt(&OTHER, &OWNER).unwrap_err();
            assert_eq!(error, AdoptError::StillBorrowed { held: Read, held_at: at });
            assert!(error.to_string().contains(&format!("for reading at {at}, drop that guard")));
            // It goes on with its own.
            assert!(!is_free(&OTHER, Write, &items(0, 9, 1)));
            assert!(is_free(&OWNER, Write, &items(0, 9, 1)));
            OTHER.release(token);
        }
    }
    adopt(&OTHER, &OWNER).unwrap();
    let token = take(&OTHER, Write, &items(0, 1, 1)).unwrap();
    assert!(!is_free(&OWNER, Read, &items(0, 1, 1)));
    // Once more: nothing changes for the borrow.
    adopt(&OTHER, &OWNER).unwrap();
    OTHER.release(token);
    assert!(is_free(&OWNER, Read, &items(0, 1, 1)));
}

#[test]
fn mut_1_adopting_is_for_good() {
    module!(OWNER);
    module!(OTHER);
    module!(THIRD);
    adopt(&OWNER, &OWNER).unwrap();
    adopt(&OTHER, &OWNER).unwrap();
    adopt(&OTHER, &OWNER).unwrap();
    for module in [&OWNER, &OTHER] {
        assert_eq!(adopt(module, &THIRD), Err(AdoptError::Decided));
    }
    let token = take(&OTHER, Write, &items(0, 1, 1)).unwrap();
    assert!(!is_free(&OWNER, Read, &items(0, 1, 1)));
    assert!(is_free(&THIRD, Read, &items(0, 1, 1)));
    OTHER.release(token);
}

#[test]
fn mut_1_other_tables_are_refused() {
    module!(OWNER);
    module!(OTHER);
    let bytes = size_of::<LedgerTable>() as u32;
    let version = TABLE_VERSION;
    static TABLES: [OnceLock<LedgerTable>; 4] = [const { OnceLock::new() }; 4];
    for (place, (table_version, table_bytes, expected)) in [
        (0, bytes, Err(AdoptError::Version { found: 0 })),
        (version + 1, 2 * bytes, Err(AdoptError::Version { found: version + 1 })),
        (version, bytes - 8, Err(AdoptError::TooShort { found: bytes - 8, expected: bytes })),
        // A later release has more functions; these are as they were.
        (version, bytes + 8, Ok(())),
    ]
    .into_iter()
    .enumerate()
    {
        let table = OWNER.table().relabelled(table_version, table_bytes);
        // SAFETY: a table of this crate, whose head is all that is wrong, and statics stay.
        let adopted = unsafe { OTHER.adopt(TABLES[place].get_or_init(|| table).into()) };
        assert_eq!(adopted, expected, "version {table_version}, {table_bytes} bytes");
    }
    let error = AdoptError::Version { found: 7 }.to_string();
    assert!(error.contains("version 7, expected 2"), "{error}");
}
