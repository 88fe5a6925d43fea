//! Work on a stream, in its order.

use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, MutexGuard};

use smallvec::SmallVec;

use super::device::Gpu;
use super::driver::{self, Handle};
use super::event::Event;
use super::pending::{self, Pending};
use super::staging::{self, Direction};
use super::stream::{Relaxed, Stream};
use super::uses::{Later, Noted, Notes, Use, Uses};
use ndbridge_storage::{BorrowKind, Device, OwnedBorrow, Storage, StorageError};

/// Work to be enqueued on a stream: which storages it reads and writes.
///
/// ```
/// use ndbridge_cuda::{self as cuda, Job};
/// use ndbridge_storage::{Device, Storage};
/// if cuda::is_available() {
///     let new = || Storage::on_device(Device::Cuda(0), 64);
///     let (from, to) = (new()?, new()?);
///     let stream = cuda::current_stream(0)?;
///     Job::on(&stream).reads(&from).writes(&to).run(|enqueue| {
///         // SAFETY: both are 64 bytes on the device, and named above.
///         unsafe { enqueue.copy_on_device(to.as_ptr() as u64, from.as_ptr() as u64, 64) }
///     })?;
///     stream.synchronize()?;
/// }
/// # Ok::<(), ndbridge_storage::StorageError>(())
/// ```
#[must_use = "a job does nothing until it is run"]
pub struct Job<'a> {
    stream: &'a Stream,
    parts: SmallVec<[(&'a Arc<Uses>, BorrowKind); 3]>,
    host: SmallVec<[(BorrowKind, OwnedBorrow); 1]>,
    is_exact: bool,
}

impl<'a> Job<'a> {
    /// A job on `stream` that touches nothing yet.
    pub fn on(stream: &'a Stream) -> Self {
        Self { stream, parts: SmallVec::new(), host: SmallVec::new(), is_exact: false }
    }

    /// The job reads `storage`, on whatever device; nothing happens for host memory.
    pub fn reads(self, storage: &'a Storage) -> Self {
        self.with(storage, BorrowKind::Read)
    }

    /// The job writes `storage`, on whatever device; nothing happens for host memory.
    pub fn writes(self, storage: &'a Storage) -> Self {
        self.with(storage, BorrowKind::Write)
    }

    fn with(mut self, storage: &'a Storage, kind: BorrowKind) -> Self {
        if let Some(noted) = storage.notes::<Noted>() {
            let uses = noted.uses();
            match self.parts.iter_mut().find(|(other, _)| Arc::ptr_eq(other, uses)) {
                Some((_, other)) if kind == BorrowKind::Write => *other = kind,
                Some(_) => {}
                None => self.parts.push((uses, kind)),
            }
        }
        self
    }

    /// The job uses page-locked host memory that was borrowed for it: `held` is kept until the work
    /// has run.
    pub fn holding(mut self, kind: BorrowKind, held: OwnedBorrow) -> Self {
        self.host.push((kind, held));
        self
    }

    /// The end of this very job can be asked for later ([`Storage::is_ready`]), not only the end of
    /// what is on the stream then.
    pub fn exact_if(mut self, is_exact: bool) -> Self {
        self.is_exact = is_exact;
        self
    }

    /// Makes the stream wait for all that the job depends on, lets `work` enqueue it, notes it.
    ///
    /// # Errors
    /// The driver's, and those of `work`.
    pub fn run<R>(
        self,
        work: impl FnOnce(&Enqueue<'_>) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let Self { stream, mut parts, host, is_exact } = self;
        // All locks, always in the same order: no other thread comes between the waits and the notes.
        parts.sort_by_key(|(uses, _)| Arc::as_ptr(uses).addr());
        let mut locked: SmallVec<[(MutexGuard<'_, Notes>, BorrowKind); 3]> = SmallVec::new();
        for (uses, kind) in &parts {
            locked.push((uses.lock()?, *kind));
        }
        let later = Later::of(stream)?;
        if later.is_captured && !host.is_empty() {
            // A graph would read or fill it later, or never.
            return Err(StorageError::Capturing { call: "copy host memory" });
        }
        for (notes, kind) in &mut locked {
            match kind {
                BorrowKind::Write => notes.before_write(&later)?,
                _ => notes.before_read(&later)?,
            }
        }
        let (entered, relaxed) = (stream.gpu().enter()?, Relaxed::new());
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&Enqueue { stream })));
        drop((relaxed, entered));
        // Also after an error or a panic: some of it may be on the stream.
        let noted = match later.is_captured {
            true => {
                note_captured(stream, &mut locked);
                Ok(Vec::new())
            }
            false => note(stream, &mut locked, &host, is_exact)
                .map_err(|error| without_notes(stream, &mut locked, error)),
        };
        // Before anything is let go of that may be foreign: its end may ask for the same locks.
        drop(locked);
        let noted = match noted {
            Ok(ends) => {
                hold_until(host, ends);
                Ok(())
            }
            Err(Unnoted { error, has_run }) => {
                if !has_run {
                    // Nobody knows whether it still runs: its memory stays as it is.
                    std::mem::forget(host);
                }
                Err(error)
            }
        };
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        noted?;
        Ok(result)
    }
}

/// Notes what was enqueued; gives its end for each piece of host memory that it uses.
fn note(
    stream: &Stream,
    locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)],
    host: &[(BorrowKind, OwnedBorrow)],
    is_exact: bool,
) -> Result<Vec<Event>, StorageError> {
    let ends = host.iter().map(|_| stream.mark()).collect::<Result<Vec<_>, _>>()?;
    if locked.is_empty() {
        return Ok(ends);
    }
    let used = Use::on(stream, is_exact)?;
    for (notes, kind) in locked {
        match kind {
            BorrowKind::Write => notes.note_write(used.clone()),
            _ => notes.note_read(used.clone()),
        }
    }
    Ok(ends)
}

/// Notes what was recorded: it has not run, and whoever runs the graph sees to its order then.
fn note_captured(stream: &Stream, locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)]) {
    for (notes, kind) in locked {
        if *kind == BorrowKind::Write {
            notes.note_captured_write(stream);
        }
    }
}

/// Work that could not be noted.
struct Unnoted {
    error: StorageError,
    has_run: bool,
}

/// Waits for what could not be noted. If that fails too, the memory is freed when the device was waited
/// for.
fn without_notes(
    stream: &Stream,
    locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)],
    error: StorageError,
) -> Unnoted {
    let has_run = stream.wait().is_ok();
    if !has_run {
        locked.iter_mut().for_each(|(notes, _)| notes.note_foreign_streams());
    }
    Unnoted { error, has_run }
}

/// Keeps host memory, and others away from it, until the work that uses it has run.
fn hold_until(host: SmallVec<[(BorrowKind, OwnedBorrow); 1]>, ends: Vec<Event>) {
    for ((kind, held), end) in host.into_iter().zip(ends) {
        let addresses = held.storage().addresses();
        pending::add(Pending { end: Arc::new(end), kind, addresses, held });
    }
}

/// What can be enqueued by a [`Job`].
#[derive(Debug)]
pub struct Enqueue<'j> {
    stream: &'j Stream,
}

/// A kernel and how to launch it.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Name of the entry point.
    pub name: &'static str,
    /// Gives a PTX module with the entry point of a name; asked at the first launch on a device.
    pub module: fn(&str) -> Option<String>,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory of a block.
    pub shared_bytes: u32,
}

impl Enqueue<'_> {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        self.stream
    }

    /// From host memory to this stream's device. Pageable memory is read before this returns; much of
    /// it goes by way of page-locked chunks.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As many bytes at `to` are device memory that the job writes; those at `from` are initialised,
    /// and not written until this ran, if they are page-locked.
    pub unsafe fn copy_to_device(
        &self,
        to: u64,
        from: *const u8,
        len_bytes: usize,
        is_pinned: bool,
    ) -> Result<(), StorageError> {
        if is_pinned || !staging::pays(len_bytes) {
            // SAFETY: promised by the caller; the context is entered.
            return unsafe {
                driver::cuMemcpyHtoDAsync_v2(to, from, len_bytes, self.stream.handle())
            };
        }
        let (stream, from) = (self.stream, from.cast_mut());
        // SAFETY: promised by the caller; `from` is only read.
        unsafe { staging::copy(Direction::ToDevice, stream, to, from, len_bytes) }
    }

    /// From this stream's device to host memory. Pageable memory is written before this returns.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As many bytes at `from` are device memory that the job reads; those at `to` may be written,
    /// and nobody touches them until this ran, if they are page-locked.
    pub unsafe fn copy_to_host(
        &self,
        to: *mut u8,
        from: u64,
        len_bytes: usize,
        is_pinned: bool,
    ) -> Result<(), StorageError> {
        if is_pinned || !staging::pays(len_bytes) {
            // SAFETY: promised by the caller; the context is entered.
            return unsafe {
                driver::cuMemcpyDtoHAsync_v2(to, from, len_bytes, self.stream.handle())
            };
        }
        // SAFETY: promised by the caller.
        unsafe { staging::copy(Direction::ToHost, self.stream, from, to, len_bytes) }
    }

    /// From this stream's device to the same device.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As many bytes at both addresses are memory of this device, apart from each other, that the
    /// job reads and writes.
    pub unsafe fn copy_on_device(
        &self,
        to: u64,
        from: u64,
        len_bytes: usize,
    ) -> Result<(), StorageError> {
        // SAFETY: promised by the caller; the context is entered.
        unsafe { driver::cuMemcpyDtoDAsync_v2(to, from, len_bytes, self.stream.handle()) }
    }

    /// From one device to another, with or without direct access between them.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] and the driver's.
    ///
    /// # Safety
    /// As many bytes at both addresses are memory of the devices named, that the job reads and
    /// writes.
    pub unsafe fn copy_between(
        &self,
        (to_ordinal, to): (usize, u64),
        (from_ordinal, from): (usize, u64),
        len_bytes: usize,
    ) -> Result<(), StorageError> {
        let to_context = Gpu::get(to_ordinal)?.context();
        let from_context = Gpu::get(from_ordinal)?.context();
        // SAFETY: promised by the caller; the context is entered, both others are retained.
        unsafe {
            driver::cuMemcpyPeerAsync(
                to,
                to_context,
                from,
                from_context,
                len_bytes,
                self.stream.handle(),
            )
        }
    }

    /// Launches a kernel, which is loaded on its first use on this device.
    ///
    /// # Errors
    /// [`StorageError::NoKernel`] if there is no such kernel, the driver's.
    ///
    /// # Safety
    /// `parameters` point to the kernel's parameters, of its types; what it reads and writes for
    /// these, with this grid, is memory that the job reads and writes.
    pub unsafe fn launch(
        &self,
        kernel: &Kernel,
        parameters: &mut [*mut c_void],
    ) -> Result<(), StorageError> {
        let function = self.function(kernel)?;
        let ([x, y, z], threads) = (kernel.grid, kernel.threads);
        let none = std::ptr::null_mut();
        // SAFETY: promised by the caller; the context is entered, the function was loaded in it.
        unsafe {
            driver::cuLaunchKernel(
                function,
                x,
                y,
                z,
                threads,
                1,
                1,
                kernel.shared_bytes,
                self.stream.handle(),
                parameters.as_mut_ptr(),
                none,
            )
        }
    }

    fn function(&self, kernel: &Kernel) -> Result<Handle, StorageError> {
        let kernels = &self.stream.gpu().kernels;
        let mut kernels = kernels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(function) = kernels.get(kernel.name) {
            return Ok(*function);
        }
        let function = load(kernel)?;
        kernels.insert(kernel.name, function);
        Ok(function)
    }
}

/// The function of a module that is never unloaded. Loading is one of the calls that a capture elsewhere
/// forbids, unless the thread [is relaxed](Relaxed).
#[cold]
fn load(kernel: &Kernel) -> Result<Handle, StorageError> {
    let missing = StorageError::NoKernel { name: kernel.name };
    let Some(text) = (kernel.module)(kernel.name) else { return Err(missing) };
    let (Ok(text), Ok(name)) = (CString::new(text), CString::new(kernel.name)) else {
        return Err(missing);
    };
    let _relaxed = Relaxed::new();
    let (none, mut module, mut function) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: a terminated text, no options, a place for the handle.
    unsafe {
        driver::cuModuleLoadDataEx(&raw mut module, text.as_ptr(), 0, none, none.cast())
    }?;
    // SAFETY: a live module, a terminated name, a place for the handle.
    unsafe { driver::cuModuleGetFunction(&raw mut function, module, name.as_ptr()) }?;
    Ok(function)
}

/// As [`Storage::is_ready`].
pub(super) fn is_ready(storage: &Storage) -> Result<bool, StorageError> {
    if storage.device() == Device::CudaHost {
        return Ok(pending::is_written(&storage.addresses()));
    }
    storage.notes::<Noted>().map_or(Ok(true), |noted| noted.uses().is_written())
}

/// As [`Storage::wait_until_ready`].
pub(super) fn wait_until_ready(storage: &Storage) -> Result<(), StorageError> {
    if storage.device() == Device::CudaHost {
        return pending::settle(BorrowKind::Read, &storage.addresses());
    }
    storage.notes::<Noted>().map_or(Ok(()), |noted| noted.uses().wait_for_write())
}

/// As [`Storage::note_ready`].
pub(super) fn note_ready(storage: &Storage) -> Result<(), StorageError> {
    let Device::Cuda(ordinal) = storage.device() else { return Ok(()) };
    let current = super::current_stream(ordinal)?;
    Job::on(&current).writes(storage).run(|_| Ok(()))
}

/// Makes the stream of foreign code that gets this device memory wait for what is noted: for the
/// last write, and for the reads too if that code may write. Without a stream, that code sees to the
/// order itself. Page-locked memory is waited for.
///
/// Memory of our own is then freed after what is on the legacy default stream at its end, or, for any
/// other stream, after everything on the device: nobody can tell whether a foreign stream still
/// exists.
///
/// # Errors
/// [`StorageError::NotRun`] for memory that a captured graph writes, on another stream than that;
/// [`StorageError::Capturing`] where the stream is captured and cannot wait; the driver's.
pub fn hand_over(
    storage: &Storage,
    to: Option<&Stream>,
    kind: BorrowKind,
) -> Result<(), StorageError> {
    if storage.device() == Device::CudaHost {
        return pending::hand_over(storage);
    }
    let Some(noted) = storage.notes::<Noted>() else { return Ok(()) };
    let mut notes = noted.uses().lock()?;
    if let Some(stream) = to {
        let later = Later::of(stream)?;
        match kind {
            BorrowKind::Write => notes.before_write(&later)?,
            _ => notes.before_read(&later)?,
        }
        if stream.is_legacy() {
            // The streams of ours wait for it by themselves, those that our memory is freed on too.
            // Memory of others is kept until what is on it has run.
            if !noted.is_own() {
                notes.note_read(Use::on(stream, false)?);
            }
            return Ok(());
        }
    }
    notes.note_foreign_streams();
    Ok(())
}
