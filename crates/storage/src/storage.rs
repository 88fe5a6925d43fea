//! The handle to memory.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock, Weak};

use bytemuck::{CheckedBitPattern, NoUninit};

use crate::owner::{Owner, short_name};
use crate::{Access, Device, Gate, Mutability, StorageError, fork};
use ndbridge_ledger::Ledger;
use ndbridge_ledger::sync::{AtomicBool, AtomicU8, Ordering};

/// Bytes, kept alive by an owner, with a record of who borrows them.
///
/// ```text
/// Storage ----\                                  owner: any Send + Sync value;
/// Storage -----> pointer, len_bytes, device      dropping it frees the bytes
/// Storage ----/  access, mutability, gate, ledger      |
///                   |                                  |
///                   +------------> [ bytes ] <---------+
/// ```
///
/// Cloning makes another handle to the same bytes. The owner is dropped once, with the last handle,
/// on whatever thread that happens.
///
/// A storage gives no reference to its bytes. Whoever makes one first takes a
/// [`borrow`](Self::borrow) of the bytes it covers, and holds that for as long as the reference
/// lives:
///
/// ```
/// use ndbridge_storage::{BorrowKind, Region, Storage};
///
/// let storage = Storage::from_vec(vec![1.0f32, 2.0, 3.0, 4.0]);
/// let every_second = |offset_bytes| {
///     let start = storage.as_ptr() as usize + offset_bytes;
///     Region { start, item_bytes: 4, shape: &[2], strides: &[8] }
/// };
/// let even = storage.borrow(BorrowKind::Write, &every_second(0))?;
/// let odd = storage.borrow(BorrowKind::Write, &every_second(4))?; // no byte in common
/// let again = storage.borrow(BorrowKind::Read, &every_second(0)).unwrap_err();
/// assert!(again.to_string().starts_with("already borrowed for writing at "));
/// # Ok::<(), ndbridge_storage::BorrowError>(())
/// ```
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    // INVARIANT: `len_bytes` from here belong to `owner` and stay put until it is dropped.
    pointer: NonNull<u8>,
    len_bytes: usize,
    device: Device,
    // Only ever goes from Private to Lent, under the lock of `ledger`.
    access: AtomicU8,
    // Goes from Unknown to Writable; to ReadOnly while there is one handle to private memory.
    mutability: AtomicU8,
    is_known: AtomicBool,
    came_lent: bool,
    // INVARIANT: set before `access` is Lent.
    gate: OnceLock<Arc<dyn Gate>>,
    // Made for the first borrow. None: lent before there was one, so there will never be one.
    ledger: OnceLock<Option<Box<Ledger>>>,
    kept: Kept,
}

/// What keeps the bytes, and what is carried with them.
struct Kept {
    // In a box: host memory has none.
    carried: Option<Carried>,
    // INVARIANT: there until it is taken, which only those do who have this by value.
    owner: Option<Owner>,
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        match (self.carried.take(), self.owner.take()) {
            (Some(carried), Some(owner)) => carried.end(owner),
            (_, owner) => drop(owner),
        }
    }
}

// SAFETY: the owner and the gate are Send + Sync by their types, the rest is atomics and plain
// data. The pointer may be used on any thread: the owner keeps its bytes wherever it is, and who
// dereferences it must hold a borrow.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Storage>();
};

/// What a storage off the plain host carries, which nothing here looks into.
pub(crate) type Carried = Box<dyn Carry>;

/// What a storage off the plain host carries.
pub(crate) trait Carry: Any + Send + Sync {
    /// Whether the owner may be given back: nothing that was enqueued here uses its memory.
    fn gives_back(&self) -> bool;

    /// Drops the owner, when its time has come.
    fn end(self: Box<Self>, owner: Owner);
}

/// All of a storage but its owner.
pub(crate) struct Parts {
    pub(crate) pointer: NonNull<u8>,
    pub(crate) len_bytes: usize,
    pub(crate) device: Device,
    pub(crate) access: Access,
    pub(crate) mutability: Mutability,
    pub(crate) gate: Option<Arc<dyn Gate>>,
    pub(crate) carried: Option<Carried>,
}

impl Storage {
    /// Moves a vector in: the storage shares its allocation. Private and writable.
    ///
    /// [`try_into_owner`](Self::try_into_owner) moves the same allocation out.
    ///
    /// ```
    /// use ndbridge_storage::Storage;
    ///
    /// let vec = vec![1.5f64; 8];
    /// let address = vec.as_ptr();
    /// let storage = Storage::from_vec(vec);
    /// assert_eq!(storage.as_ptr(), address as *mut u8);
    /// assert_eq!(storage.try_into_owner::<Vec<f64>>().unwrap().as_ptr(), address);
    /// ```
    pub fn from_vec<T>(mut vec: Vec<T>) -> Self
    where
        T: NoUninit + CheckedBitPattern + Send + Sync,
    {
        let len_bytes = size_of_val(vec.as_slice());
        let pointer = NonNull::from(vec.as_mut_slice()).cast();
        let owner = Owner::with_check(vec, |bytes| {
            size_of::<T>() == 0 || bytemuck::checked::try_cast_slice::<u8, T>(bytes).is_ok()
        });
        let parts = Parts::private(pointer, len_bytes);
        // SAFETY: the vector owns the bytes, all of them have values (`NoUninit`), moving it leaves
        // them in place, and nothing else points at them.
        unsafe { Self::from_parts(owner, parts) }
    }

    /// Shares the bytes of any value that gives them out for reading: `Arc<[u8]>`,
    /// `&'static [u8]`, `bytes::Bytes`. Frozen and read-only.
    pub fn frozen<O: AsRef<[u8]> + Send + Sync + 'static>(owner: O) -> Self {
        let owner = Owner::new(owner, short_name::<O>());
        let bytes = owner.get::<O>().map_or(&[][..], |value| value.as_ref());
        let parts = Parts {
            access: Access::Frozen,
            mutability: Mutability::ReadOnly,
            ..Parts::private(NonNull::from(bytes).cast(), bytes.len())
        };
        // SAFETY: `as_ref` was called on the value in its final place, so its bytes are there, and
        // not written, for as long as the value is kept, never moved and only shared.
        unsafe { Self::from_parts(owner, parts) }
    }

    /// Private, writable host memory.
    ///
    /// # Safety
    /// As [`from_parts`](Self::from_parts).
    pub(crate) unsafe fn from_private(
        owner: Owner,
        pointer: NonNull<u8>,
        len_bytes: usize,
    ) -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self::from_parts(owner, Parts::private(pointer, len_bytes)) }
    }

    /// # Safety
    /// Until `owner` is dropped, `parts` tells the truth about its bytes, they have values, stay in
    /// place when the owner moves, and are read or written by others only as `parts.access` says.
    /// A gate comes with `Access::Lent`.
    pub(crate) unsafe fn from_parts(owner: Owner, parts: Parts) -> Self {
        let Parts { pointer, len_bytes, device, access, mutability, gate, carried } = parts;
        debug_assert_eq!(gate.is_some(), access == Access::Lent);
        let gate = gate.map_or_else(OnceLock::new, OnceLock::from);
        let came_lent = access == Access::Lent;
        let (access, mutability) = (AtomicU8::new(access as u8), AtomicU8::new(mutability as u8));
        // loom does not see what `OnceLock` orders: its models have the ledger from the start.
        let ledger = if cfg!(loom) { Some(Some(Box::default())) } else { None };
        let ledger = ledger.map_or_else(OnceLock::new, OnceLock::from);
        let is_known = AtomicBool::new(false);
        let inner = Inner {
            pointer,
            len_bytes,
            device,
            access,
            mutability,
            is_known,
            came_lent,
            gate,
            ledger,
            kept: Kept { carried, owner: Some(owner) },
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Parts {
    pub(crate) fn new(
        pointer: NonNull<u8>,
        len_bytes: usize,
        device: Device,
        access: Access,
        mutability: Mutability,
    ) -> Self {
        Self { pointer, len_bytes, device, access, mutability, gate: None, carried: None }
    }

    fn private(pointer: NonNull<u8>, len_bytes: usize) -> Self {
        Self::new(pointer, len_bytes, Device::Cpu, Access::Private, Mutability::Writable)
    }
}

impl Storage {
    /// First byte. Dereferencing it takes a [`borrow`](Self::borrow), and a host
    /// [`device`](Self::device).
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.inner.pointer.as_ptr()
    }

    /// First byte, for host code.
    ///
    /// # Errors
    /// [`StorageError::NotHost`] if the memory is a device's.
    #[inline]
    pub fn host_ptr(&self) -> Result<*mut u8, StorageError> {
        let Inner { device, len_bytes, .. } = *self.inner;
        if device.is_host() {
            Ok(self.as_ptr())
        } else {
            Err(StorageError::NotHost { device, len_bytes })
        }
    }

    /// Size in bytes.
    #[inline]
    pub fn len_bytes(&self) -> usize {
        self.inner.len_bytes
    }

    /// First to past-the-last address.
    #[inline]
    pub fn addresses(&self) -> Range<usize> {
        let start = self.inner.pointer.addr().get();
        start..start + self.inner.len_bytes
    }

    /// Where the bytes are.
    #[inline]
    pub fn device(&self) -> Device {
        self.inner.device
    }

    /// Who else reaches the bytes.
    #[inline]
    pub fn access(&self) -> Access {
        Access::from_code(self.inner.access.load(Ordering::Acquire))
    }

    /// Whether the bytes may be written.
    #[inline]
    pub fn mutability(&self) -> Mutability {
        Mutability::from_code(self.inner.mutability.load(Ordering::Relaxed))
    }

    /// Whether the bytes are known never to be written. False also if nobody knows
    /// ([`Mutability::Unknown`]).
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.mutability() == Mutability::ReadOnly
    }

    /// Kind of owner: `"Vec<f32>"`, `"aligned allocation"`, `"mapped file"`, or the name a foreign
    /// owner came with.
    pub fn owner_name(&self) -> &'static str {
        self.inner.kept.owner.as_ref().map_or("", Owner::name)
    }

    /// The foreign owner, if it is an `O`.
    ///
    /// `None` for the owners made here: a reference to a `Vec` would lead past the ledger.
    pub fn owner<O: Any>(&self) -> Option<&O> {
        self.inner.kept.owner.as_ref()?.seen()
    }

    pub(crate) fn any_owner<O: Any>(&self) -> Option<&O> {
        self.inner.kept.owner.as_ref()?.get()
    }

    /// Whether the memory was lent when it came in: somebody else made it, and still has it.
    #[inline]
    pub fn came_lent(&self) -> bool {
        self.inner.came_lent
    }

    /// Whether both are handles to one storage. Different storages may still share bytes.
    #[inline]
    pub fn same_storage(&self, other: &Storage) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Marks the storage; false if that was done before. For those who keep a list of storages.
    #[inline]
    pub fn mark_known(&self) -> bool {
        // Known ones come here often: a load costs less than a swap.
        !self.inner.is_known.load(Ordering::Relaxed)
            && !self.inner.is_known.swap(true, Ordering::Relaxed)
    }

    /// A handle that does not keep the memory.
    ///
    /// ```
    /// use ndbridge_storage::Storage;
    ///
    /// let storage = Storage::from_vec(vec![1u8]);
    /// let weak = storage.downgrade();
    /// assert!(weak.upgrade().is_some_and(|same| same.same_storage(&storage)));
    /// drop(storage);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakStorage {
        WeakStorage { inner: Arc::downgrade(&self.inner), len_bytes: self.len_bytes() }
    }

    /// Number of handles to this storage, borrows that own one included.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// Whether this is the only handle.
    pub fn is_unique(&self) -> bool {
        self.handles() == 1
    }

    /// Moves the owner out, with all its bytes in place.
    ///
    /// # Errors
    /// Returns the storage if it has other handles, is not private, has an owner of another type,
    /// or if its bytes were changed to what that type cannot hold (a `bool` of 2).
    pub fn try_into_owner<O: Any>(mut self) -> Result<O, Storage> {
        if !self.can_give_back::<O>() {
            return Err(self);
        }
        let mut inner = match Arc::try_unwrap(self.inner) {
            Ok(inner) => inner,
            Err(inner) => return Err(Storage { inner }),
        };
        match inner.kept.owner.take().map(Owner::take) {
            Some(Ok(owner)) => Ok(owner),
            refused => {
                inner.kept.owner = refused.and_then(Result::err);
                Err(Storage { inner: Arc::new(inner) })
            }
        }
    }

    fn can_give_back<O: Any>(&mut self) -> bool {
        let private = self.access() == Access::Private;
        let Some(inner) = Arc::get_mut(&mut self.inner) else { return false };
        let Kept { carried, owner: Some(owner) } = &inner.kept else { return false };
        if !private || owner.get::<O>().is_none() {
            return false;
        }
        if !inner.device.is_host() {
            return carried.as_ref().is_none_or(|carried| carried.gives_back());
        }
        // SAFETY: host bytes with values; this is the only handle to private memory, so nobody
        // writes them meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(inner.pointer.as_ptr(), inner.len_bytes) };
        owner.accepts(bytes)
    }

    /// Takes memory of unknown mutability for writable, for good and in every handle. Nothing
    /// happens to memory that is known to be writable or read-only.
    ///
    /// # Safety
    /// The producer allows writing.
    pub unsafe fn assume_writable(&self) {
        if self.mutability() == Mutability::Unknown && self.access() != Access::Frozen {
            self.inner.mutability.store(Mutability::Writable as u8, Ordering::Relaxed);
        }
    }

    /// Makes private memory read-only for good, for every handle there will be and for whoever brings
    /// it back; false, and nothing happens, if others have handles or reach the memory.
    ///
    /// ```
    /// use ndbridge_storage::{Mutability, Storage};
    ///
    /// let mut storage = Storage::from_vec(vec![1u8]);
    /// assert!(storage.make_read_only());
    /// assert_eq!(storage.clone().mutability(), Mutability::ReadOnly);
    /// ```
    pub fn make_read_only(&mut self) -> bool {
        let is_private = self.access() == Access::Private;
        match Arc::get_mut(&mut self.inner) {
            Some(inner) if is_private => {
                inner.mutability.store(Mutability::ReadOnly as u8, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// What it carries off the plain host.
    #[inline]
    pub(crate) fn carried(&self) -> Option<&dyn Any> {
        let carried: &dyn Any = self.inner.kept.carried.as_deref()?;
        Some(carried)
    }

    /// The own ledger, for a borrow to be entered; `None` if the storage was lent.
    #[inline]
    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        match self.inner.ledger.get() {
            Some(ledger) => ledger.as_deref(),
            None => self.new_ledger(),
        }
    }

    #[cold]
    fn new_ledger(&self) -> Option<&Ledger> {
        let make = || Some(Box::new(Ledger::new()));
        fork::get_or_init(&self.inner.ledger, make).as_deref()
    }

    /// The own ledger, if anything was ever entered there.
    #[inline]
    pub(crate) fn used_ledger(&self) -> Option<&Ledger> {
        self.inner.ledger.get()?.as_deref()
    }

    /// Lends a storage that was never borrowed; false if it was.
    pub(crate) fn lend_unused(&self, gate: &Arc<dyn Gate>) -> bool {
        if self.inner.ledger.get().is_some() {
            return false;
        }
        fork::held_off(|| {
            // First: who finds no ledger asks the gate. (Should a borrow come in between, this gate
            // is that of a later loan.)
            self.inner.gate.get_or_init(|| Arc::clone(gate));
            let closed = self.inner.ledger.set(None).is_ok();
            if closed {
                self.inner.access.store(Access::Lent as u8, Ordering::Release);
            }
            closed
        })
    }

    /// Whether the access is `Private` now; lasts while the lock of the ledger is held.
    #[inline]
    pub(crate) fn is_still_private(&self) -> bool {
        self.inner.access.load(Ordering::Relaxed) == Access::Private as u8
    }

    /// Lends, unless that was done already: the first gate stays. Call under the lock of the ledger.
    pub(crate) fn set_lent(&self, gate: Arc<dyn Gate>) {
        fork::get_or_init(&self.inner.gate, || gate);
        self.inner.access.store(Access::Lent as u8, Ordering::Release);
    }

    /// The gate; there is one if the access is `Lent`.
    #[inline]
    pub(crate) fn gate(&self) -> Option<&dyn Gate> {
        self.inner.gate.get().map(|gate| &**gate)
    }
}

/// A handle to a [`Storage`] that does not keep its memory.
#[derive(Clone)]
pub struct WeakStorage {
    inner: Weak<Inner>,
    len_bytes: usize,
}

impl WeakStorage {
    /// Size in bytes, if the storage still has handles.
    pub fn len_bytes(&self) -> Option<usize> {
        // Not by `upgrade`, whose handle might be the last one.
        if !self.is_alive() {
            return None;
        }
        Some(self.len_bytes)
    }

    /// Whether the storage still has handles.
    pub fn is_alive(&self) -> bool {
        self.inner.strong_count() > 0
    }

    /// The storage, if it still has handles.
    pub fn upgrade(&self) -> Option<Storage> {
        self.inner.upgrade().map(|inner| Storage { inner })
    }
}

impl fmt::Debug for WeakStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakStorage").field("handles", &self.inner.strong_count()).finish()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("owner", &self.owner_name())
            .field("addresses", &format_args!("{:#x?}", self.addresses()))
            .field("device", &format_args!("{}", self.device()))
            .field("access", &self.access())
            .field("mutability", &self.mutability())
            .field("handles", &self.handles())
            .finish()
    }
}
