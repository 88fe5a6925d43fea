//! Borrows that are released when they go.

use std::fmt;

use ndbridge_ledger::{self as ledger, Token};

use crate::{Access, Storage};

/// A live borrow of some bytes of a storage; dropping it, also in a panic, releases them.
///
/// It gives no access by itself: it is what a guard holds beside its pointer. Leaking it
/// (`std::mem::forget`) keeps the bytes borrowed.
///
/// The storage outlives it:
///
/// ```
/// # use ndbridge_storage::{BorrowKind, Region, Storage};
/// let storage = Storage::from_vec(vec![1u8]);
/// let start = storage.as_ptr() as usize;
/// let region = Region { start, item_bytes: 1, shape: &[], strides: &[] };
/// let borrow = storage.borrow(BorrowKind::Read, &region).unwrap();
/// drop(borrow);
/// drop(storage);
/// ```
///
/// ```compile_fail,E0505
/// # use ndbridge_storage::{BorrowKind, Region, Storage};
/// let storage = Storage::from_vec(vec![1u8]);
/// let start = storage.as_ptr() as usize;
/// let region = Region { start, item_bytes: 1, shape: &[], strides: &[] };
/// let borrow = storage.borrow(BorrowKind::Read, &region).unwrap();
/// drop(storage);
/// drop(borrow);
/// ```
#[must_use = "the bytes are borrowed only while this lives"]
pub struct Borrow<'s> {
    storage: &'s Storage,
    token: Token,
}

impl<'s> Borrow<'s> {
    pub(crate) fn new(storage: &'s Storage, token: Token) -> Self {
        Self { storage, token }
    }

    /// The storage borrowed from.
    #[inline]
    pub fn storage(&self) -> &'s Storage {
        self.storage
    }
}

impl Drop for Borrow<'_> {
    #[inline]
    fn drop(&mut self) {
        release(self.storage, &mut self.token);
    }
}

impl fmt::Debug for Borrow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrow").field("storage", self.storage).finish_non_exhaustive()
    }
}

/// A [`Borrow`] that keeps the storage alive itself: for guards without a lifetime.
#[must_use = "the bytes are borrowed only while this lives"]
pub struct OwnedBorrow {
    storage: Storage,
    token: Token,
}

impl OwnedBorrow {
    pub(crate) fn new(storage: Storage, token: Token) -> Self {
        Self { storage, token }
    }

    /// The storage borrowed from.
    #[inline]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

impl Drop for OwnedBorrow {
    #[inline]
    fn drop(&mut self) {
        release(&self.storage, &mut self.token);
    }
}

impl fmt::Debug for OwnedBorrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBorrow").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// The ledger is the one that the borrow was entered in: while it lives, the access cannot change.
#[inline]
fn release(storage: &Storage, token: &mut Token) {
    let token = std::mem::replace(token, Token::NOTHING);
    match storage.access() {
        Access::Lent | Access::Mapped => ledger::of_process().release(token),
        Access::Private | Access::Frozen => match storage.used_ledger() {
            Some(ledger) => ledger.release(token),
            None => ledger::of_process().release(token),
        },
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Borrow<'static>>();
    is_shared::<OwnedBorrow>();
};
