//! What drives the memory of a device: one trait, and the registry of those who have it.

use std::any::Any;
use std::ops::Range;

use crate::{BorrowKind, Device, OwnedBorrow, Storage, StorageError};

/// What is kept with a storage for its back end, such as who uses it on which queue. Dropped before
/// the memory's owner, or given to [`Backend::end`] with it.
pub type Notes = Box<dyn Any + Send + Sync>;

/// Foreign code that gets memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// It will use the memory on the queue with this handle.
    OnQueue(usize),
    /// It will use the memory on the queue of code that names none.
    OnDefaultQueue,
    /// It sees to the order itself.
    Waits,
}

/// What a program is that waits for a device, where the back end cannot know.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The queue that foreign code on this thread works on now, alive during the call. Nobody waits unasked for
    /// the device while its work is recorded instead of run.
    pub queue_of: fn(Device) -> Option<usize>,
    /// Runs the work, which waits, without what host functions in a queue may need.
    pub letting_go: fn(&mut (dyn FnMut() + Send)),
}

/// Bytes of a storage on a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceBytes<'s> {
    /// Whose memory it is.
    pub storage: &'s Storage,
    /// First byte.
    pub address: usize,
    /// Count of bytes.
    pub len_bytes: usize,
}

/// A kind of devices: their memory, the order of work on it, and how bytes come and go.
///
/// Knows bytes only; what elements are is a layer above ([`engine`](Self::engine)). A storage off
/// the plain host carries its back end; only where a device is named, the registry is asked
/// ([`backend_of`]). [`register_backend!`](crate::register_backend) enters one.
///
/// Work is enqueued on the thread's current queue of a device. What depends on earlier work on the
/// same storage waits for it there, by the notes that the back end keeps with each storage.
///
/// # Waiting
/// [`synchronize`](Self::synchronize), [`wait_until_ready`](Self::wait_until_ready),
/// [`settle`](Self::settle), [`hand_over`](Self::hand_over) of page-locked memory, and
/// [`upload`](Self::upload) and [`download`](Self::download) of other host memory wait for devices.
/// [`allocate`](Self::allocate) may, when memory is short or much of it waits for its end, and lets go
/// of what its [`Surroundings`] say meanwhile. Every method but
/// those about names and addresses may wait for another thread that uses the same storage in one of
/// these. A device may itself wait for a host function in one of its queues: so none of them is called
/// while something is held that such a function needs, Python's interpreter above all. The end of a
/// storage waits for nothing.
///
/// # Safety
/// What the methods say of memory is true: callers hand it out as [`Storage`]s and read it.
/// - [`allocate`](Self::allocate) gives memory of its own, on that device; if
///   [`is_host`](Device::is_host), all its bytes have values.
/// - When [`settle`](Self::settle) returns without an error, no device touches those bytes in a way
///   that conflicts with the borrow, until somebody enqueues more.
/// - [`end`](Self::end) drops the owner of foreign memory when nothing enqueued here uses that memory
///   any more.
/// - What moves bytes moves those it was told to, and no others.
pub unsafe trait Backend: Send + Sync {
    /// A short name, such as `"cuda"`; of two back ends no two are the same.
    fn name(&self) -> &'static str;

    /// Whether memory of `device` is this back end's.
    fn drives(&self, device: Device) -> bool;

    /// Whether there is a driver and at least one device.
    fn is_available(&self) -> bool;

    /// As [`Device::check_exists`], for a device that it drives.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`].
    fn check_exists(&self, device: Device) -> Result<(), StorageError>;

    /// What layers above know this back end as; they downcast it.
    fn engine(&self) -> Option<&'static (dyn Any + Send + Sync)> {
        None
    }

    /// The host memory that its devices copy from and to while the host goes on, if there is such.
    fn page_locked(&self) -> Option<Device>;

    /// New memory, private and writable; freed in the order of its uses, after the last one.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`], [`StorageError::DeviceMemory`], the driver's.
    fn allocate(&self, device: Device, len_bytes: usize) -> Result<Storage, StorageError>;

    /// Notes for foreign memory on `device`, which is ready in the order of the thread's current
    /// queue.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`], the driver's.
    fn adopt(&self, device: Device) -> Result<Notes, StorageError>;

    /// Takes over the end of [adopted](Self::adopt) memory: its `owner` is dropped, on whatever thread,
    /// when what was enqueued here has run. Waits for nothing: an owner that cannot go now goes with a
    /// later call.
    fn end(&self, notes: Notes, owner: Box<dyn Any + Send + Sync>) {
        drop(notes);
        drop(owner);
    }

    /// Checks that `len_bytes` at `address` are on `device`, inside of one allocation.
    ///
    /// # Errors
    /// [`StorageError::WrongPointer`] with what the driver says.
    fn check_pointer(
        &self,
        device: Device,
        address: usize,
        len_bytes: usize,
    ) -> Result<(), StorageError>;

    /// The device that an address belongs to.
    ///
    /// # Errors
    /// [`StorageError::WrongPointer`] for memory that the driver does not know.
    fn device_of(&self, address: usize) -> Result<Device, StorageError>;

    /// The handle of the thread's current queue of `device`.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`].
    fn queue(&self, device: Device) -> Result<usize, StorageError>;

    /// Makes the thread's current queue of `device` wait for what is on `earlier` so far.
    ///
    /// # Errors
    /// For a handle that is none; [`StorageError::NotRun`] for another queue whose work is recorded
    /// instead of run; the driver's.
    ///
    /// # Safety
    /// [`Consumer::OnQueue`] names a live queue of that device.
    unsafe fn wait_for(&self, device: Device, earlier: Consumer) -> Result<(), StorageError>;

    /// Makes the queue of foreign code that gets this memory wait for what is noted: for the last
    /// write, and for the reads too if that code may write. Page-locked memory is waited for.
    ///
    /// # Errors
    /// For a handle that is none; the driver's.
    ///
    /// # Safety
    /// [`Consumer::OnQueue`] names a live queue of the storage's device.
    unsafe fn hand_over(
        &self,
        storage: &Storage,
        to: Consumer,
        kind: BorrowKind,
    ) -> Result<(), StorageError>;

    /// As [`Storage::note_ready`].
    ///
    /// # Errors
    /// The driver's.
    fn note_ready(&self, storage: &Storage) -> Result<(), StorageError>;

    /// As [`Storage::is_ready`].
    ///
    /// # Errors
    /// The driver's.
    fn is_ready(&self, storage: &Storage) -> Result<bool, StorageError>;

    /// As [`Storage::wait_until_ready`].
    ///
    /// # Errors
    /// The driver's.
    fn wait_until_ready(&self, storage: &Storage) -> Result<(), StorageError>;

    /// Waits for the noted work on memory of a device that a borrow of `kind` conflicts with.
    ///
    /// # Errors
    /// As [`wait_until_ready`](Self::wait_until_ready).
    fn wait_for_uses(&self, storage: &Storage, kind: BorrowKind) -> Result<(), StorageError> {
        let _ = kind;
        self.wait_until_ready(storage)
    }

    /// From now on, `surroundings` are heeded by what waits unasked.
    fn wait_within(&self, surroundings: Surroundings) {
        let _ = surroundings;
    }

    /// Waits until everything on the thread's current queue of `device` has run.
    ///
    /// # Errors
    /// The driver's.
    fn synchronize(&self, device: Device) -> Result<(), StorageError>;

    /// Waits for the copies from or to some of these bytes of page-locked memory that a borrow of
    /// `kind` conflicts with.
    ///
    /// # Errors
    /// The driver's; nobody knows then whether a copy still runs.
    fn settle(&self, kind: BorrowKind, addresses: &Range<usize>) -> Result<(), StorageError>;

    /// Enqueues a copy from host memory. Without `held` the caller [waits](Self::wait_until_ready)
    /// for it.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As many bytes at `from` are initialised host memory that nobody writes until they were read;
    /// `held` is the borrow of them if they are page-locked, and is kept until then. The
    /// destination is borrowed for writing, or new.
    unsafe fn upload(
        &self,
        to: DeviceBytes<'_>,
        from: *const u8,
        held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError>;

    /// Enqueues a copy to host memory. Without `held` the caller [waits](Self::synchronize) for it,
    /// also after an error.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As many bytes at `to` may be written, and nobody else reaches them until they were; `held` is
    /// the borrow of them if they are page-locked, and is kept until then. The source is borrowed for
    /// reading.
    unsafe fn download(
        &self,
        to: *mut u8,
        from: DeviceBytes<'_>,
        held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError>;

    /// Enqueues a copy from one device to another of this back end, of as many bytes, on a queue of
    /// the source's. Its end can be asked for if it `is_exact`.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// The source is borrowed for reading, the destination for writing, or new.
    unsafe fn copy_between(
        &self,
        to: DeviceBytes<'_>,
        from: DeviceBytes<'_>,
        is_exact: bool,
    ) -> Result<(), StorageError>;
}

/// An entry of the registry.
#[doc(hidden)]
pub struct Registered(pub &'static dyn Backend);

#[doc(hidden)]
pub use inventory;
inventory::collect!(Registered);

/// Enters a back end into the registry of this program or shared library, before `main`.
///
/// The crate that does has to be linked: name something of it, or write `use the_crate as _;`.
#[macro_export]
macro_rules! register_backend {
    ($backend:expr) => {
        $crate::backend::inventory::submit! { $crate::backend::Registered($backend) }
    };
}

/// The back end that drives a device, if this build has one.
#[must_use]
pub fn backend_of(device: Device) -> Option<&'static dyn Backend> {
    let mut all = inventory::iter::<Registered>.into_iter();
    all.find(|registered| registered.0.drives(device)).map(|registered| registered.0)
}

/// As [`backend_of`], for work that needs one.
///
/// # Errors
/// [`StorageError::NoDevice`] that names what is missing.
pub fn find_backend(device: Device) -> Result<&'static dyn Backend, StorageError> {
    backend_of(device).ok_or_else(|| StorageError::undriven(device))
}

/// What only the back end of a device can tell.
impl Device {
    /// Whether memory can be had there: always on the host; else something has to drive it, and
    /// there must be such a device.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] that says what is missing.
    pub fn check_exists(self) -> Result<(), StorageError> {
        match self {
            Device::Cpu => Ok(()),
            _ => find_backend(self)?.check_exists(self),
        }
    }

    /// Whether something here drives the device and finds a driver. Always so for [`Device::Cpu`].
    #[must_use]
    #[inline]
    pub fn is_driven(self) -> bool {
        self == Device::Cpu || backend_of(self).is_some_and(Backend::is_available)
    }

    /// Checks that memory is where its producer says, if there is a driver to ask: `len_bytes` at
    /// `address`, inside of one allocation.
    ///
    /// # Errors
    /// [`StorageError::WrongPointer`] with what the driver says.
    #[inline]
    pub fn check_pointer(self, address: usize, len_bytes: usize) -> Result<(), StorageError> {
        if self == Device::Cpu || len_bytes == 0 {
            return Ok(());
        }
        match backend_of(self).filter(|backend| backend.is_available()) {
            Some(backend) => backend.check_pointer(self, address, len_bytes),
            None => Ok(()),
        }
    }
}
