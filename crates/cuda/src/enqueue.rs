//! What is enqueued on a stream: copies and kernels.

use std::ffi::{CString, c_void};

use super::device::Gpu;
use super::driver::{self, Handle};
use super::staging::{self, Direction};
use super::stream::Stream;
use ndbridge_storage::StorageError;

/// What can be enqueued by a [`Job`](super::Job).
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

impl<'j> Enqueue<'j> {
    pub(super) fn on(stream: &'j Stream) -> Self {
        Self { stream }
    }
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

/// The function of a module that is never unloaded. Loading is one of the calls that a capture forbids,
/// unless the thread [is relaxed](super::relaxed::Relaxed), as in every job.
#[cold]
fn load(kernel: &Kernel) -> Result<Handle, StorageError> {
    let missing = StorageError::NoKernel { name: kernel.name };
    let Some(text) = (kernel.module)(kernel.name) else { return Err(missing) };
    let (Ok(text), Ok(name)) = (CString::new(text), CString::new(kernel.name)) else {
        return Err(missing);
    };
    let (none, mut module, mut function) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: a terminated text, no options, a place for the handle.
    unsafe { driver::cuModuleLoadDataEx(&raw mut module, text.as_ptr(), 0, none, none.cast()) }?;
    // SAFETY: a live module, a terminated name, a place for the handle.
    unsafe { driver::cuModuleGetFunction(&raw mut function, module, name.as_ptr()) }?;
    Ok(function)
}
