//! Read-only memory is never written.
#![expect(unsafe_code, reason = "makes foreign memory")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use ndbridge_storage::{
    Access, BorrowError, BorrowKind, Device, Foreign, ForeignAccess, Mutability, Region, Storage,
    gate,
};

use BorrowKind::{Read, Shared8, Write};

fn foreign(mutability: Mutability, access: ForeignAccess) -> Storage {
    let mut owner = vec![0u8; 8];
    let (ptr, len_bytes) = (owner.as_mut_ptr(), owner.len());
    let (name, device) = ("a list", Device::Cpu);
    // SAFETY: the vector owns the bytes.
    unsafe {
        Storage::from_foreign(Foreign { owner, name, ptr, len_bytes, device, mutability, access })
    }
    .unwrap()
}

fn accesses() -> [ForeignAccess; 3] {
    [ForeignAccess::Private, ForeignAccess::Frozen, ForeignAccess::Lent(Arc::new(gate::Always))]
}

fn borrow(storage: &Storage, kind: BorrowKind) -> Result<(), BorrowError> {
    let start = storage.as_ptr() as usize;
    storage.borrow(kind, &Region { start, item_bytes: 8, shape: &[], strides: &[] }).map(drop)
}

#[test]
fn mut_2_read_only_memory_is_read_and_never_written() {
    for access in accesses() {
        let storage = foreign(Mutability::ReadOnly, access);
        assert!(storage.is_read_only());
        assert_eq!(borrow(&storage, Read), Ok(()), "{storage:?}");
        assert_eq!(borrow(&storage, Shared8), Ok(()), "others may write it: {storage:?}");
        let refused = |wanted| Err(BorrowError::ReadOnly { wanted, owner: "a list" });
        assert_eq!(borrow(&storage, Write), refused(Write), "{storage:?}");
        for wanted in [Write, Shared8] {
            assert_eq!(storage.check_writable(wanted), refused(wanted), "{storage:?}");
        }
        // SAFETY: it is a vector.
        unsafe { storage.assume_writable() };
        assert!(storage.is_read_only(), "what is known stays");
    }
}

#[test]
fn mut_2_frozen_memory_is_read_only_whatever_its_flag() {
    let storage = foreign(Mutability::Writable, ForeignAccess::Frozen);
    assert_eq!(storage.mutability(), Mutability::ReadOnly);
    assert!(borrow(&storage, Write).is_err());
    let unknown = foreign(Mutability::Unknown, ForeignAccess::Frozen);
    // SAFETY: it is a vector.
    unsafe { unknown.assume_writable() };
    assert!(borrow(&unknown, Write).is_err());
}

#[test]
fn mut_2_unknown_memory_is_written_only_when_asked() {
    for access in [ForeignAccess::Private, ForeignAccess::Lent(Arc::new(gate::Always))] {
        let storage = foreign(Mutability::Unknown, access);
        let other = storage.clone();
        assert!(!storage.is_read_only());
        assert_eq!(borrow(&storage, Read), Ok(()));
        let refused = |wanted| Err(BorrowError::UnknownMutability { wanted, owner: "a list" });
        assert_eq!(borrow(&storage, Write), refused(Write));
        for wanted in [Write, Shared8] {
            assert_eq!(storage.check_writable(wanted), refused(wanted));
        }
        // SAFETY: it is a vector.
        unsafe { storage.assume_writable() };
        assert_eq!(other.mutability(), Mutability::Writable);
        assert_eq!(borrow(&other, Write), Ok(()));
    }
}

#[test]
fn mut_2_frozen_bytes_keep_no_books() {
    let storage = Storage::frozen(Arc::<[u8]>::from(&b"01234567"[..]));
    assert_eq!((storage.access(), storage.mutability()), (Access::Frozen, Mutability::ReadOnly));
    assert_eq!(storage.owner_name(), "alloc::sync::Arc<[u8]>");
    let held = borrow(&storage, Read);
    assert_eq!((held, borrow(&storage, Read)), (Ok(()), Ok(())));
}

#[test]
fn mut_2_messages_name_the_owner_and_the_way_out() {
    let refused = |mutability| {
        borrow(&foreign(mutability, ForeignAccess::Private), Write).unwrap_err().to_string()
    };
    assert_eq!(
        refused(Mutability::ReadOnly),
        "a list is read-only, cannot be borrowed for writing: copy it to get writable memory"
    );
    assert_eq!(
        refused(Mutability::Unknown),
        "a list does not say whether it is writable, cannot be borrowed for writing: \
         copy it, or call assume_writable() if you know that it is"
    );
}

#[test]
fn mut_2_private_memory_with_one_handle_becomes_read_only_for_good() {
    let mut storage = Storage::from_vec(vec![1_u8; 16]);
    let other = storage.clone();
    assert!(!storage.make_read_only(), "another handle");
    borrow(&storage, Write).unwrap();
    drop(other);
    let weak = storage.downgrade();
    assert!(!storage.make_read_only(), "somebody may get one");
    drop(weak);
    assert!(storage.make_read_only());
    let handle = storage.clone();
    assert!(matches!(borrow(&handle, Write), Err(BorrowError::ReadOnly { .. })));
    handle.lend(Arc::new(ndbridge_storage::gate::Always)).unwrap();
    assert!(matches!(borrow(&storage, Write), Err(BorrowError::ReadOnly { .. })));
    borrow(&storage, Read).unwrap();

    let mut lent = Storage::from_vec(vec![1_u8; 16]);
    lent.lend(Arc::new(ndbridge_storage::gate::Always)).unwrap();
    assert!(!lent.make_read_only(), "foreign code may write it");
}
