//! What can go wrong: making a storage, borrowing from it, naming a device.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::{BorrowKind, Device, GateError, RegionError};
use ndbridge_ledger::CallSite;

/// Why a storage could not be made, or its memory not be used from the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No allocation can have this size.
    #[error("{len_bytes} bytes exceed the largest possible allocation, {} bytes", isize::MAX)]
    TooLarge {
        /// Size asked for.
        len_bytes: usize,
    },
    /// The allocator has no such block.
    #[error("out of memory: the allocator refused {len_bytes} bytes")]
    OutOfMemory {
        /// Size asked for.
        len_bytes: usize,
    },
    /// New memory was to be used before all of it was filled.
    #[error("{len_bytes} bytes to be filled, only {filled} were")]
    NotFilled {
        /// Size of the memory.
        len_bytes: usize,
        /// Count of bytes that have a value.
        filled: usize,
    },
    /// A foreign owner named bytes at address zero.
    #[error("null pointer for {len_bytes} bytes, expected an address")]
    NullPointer {
        /// Size that came with the pointer.
        len_bytes: usize,
    },
    /// A foreign owner named bytes that wrap around or lie where no program has memory.
    #[error("{len_bytes} bytes at {address:#x} are outside the address space")]
    PastAddressSpace {
        /// Where the bytes were said to begin.
        address: usize,
        /// Size that came with the pointer.
        len_bytes: usize,
    },
    /// A mapping was asked for bytes that the file does not have.
    #[error("file has {file_bytes} bytes, cannot map {len_bytes} bytes at offset {offset}")]
    PastEndOfFile {
        /// First byte asked for.
        offset: u64,
        /// Count of bytes asked for.
        len_bytes: usize,
        /// Size of the file.
        file_bytes: u64,
    },
    /// The borrow ledger counts the bytes of each mapped file, and has no number for these.
    #[error(
        "too many files are mapped at once, or offset {offset} is too large for 64-bit positions"
    )]
    NoRoom {
        /// First byte asked for.
        offset: u64,
    },
    /// The operating system refused to map, measure or write back the file.
    #[error("cannot map the file: {0}")]
    Io(#[from] io::Error),
    /// There is no such device, or no driver, or no support for devices in this build.
    #[error("no device {device}: {reason}")]
    NoDevice {
        /// Device asked for.
        device: Device,
        /// What is missing; the loader's own text if it is the driver.
        reason: String,
    },
    /// A device has no memory left, also after all that was kept unused was given back.
    #[error(
        "out of memory on {device}: asked for {asked} B, free {free} B of {total} B, \
         kept unused by this process {held} B"
    )]
    DeviceMemory {
        /// Device asked.
        device: Device,
        /// Bytes asked for.
        asked: usize,
        /// Bytes free on the device.
        free: usize,
        /// Bytes that the pool of this process holds and nothing uses.
        held: usize,
        /// Bytes that the device has.
        total: usize,
    },
    /// A call of the device's driver failed, or reports that earlier work did.
    #[error("{call}: {text} (CUDA error {code}, {name}){remedy}")]
    Driver {
        /// The driver's function.
        call: &'static str,
        /// The driver's code.
        code: i32,
        /// The driver's name of the code.
        name: &'static str,
        /// What the driver says about it.
        text: &'static str,
        /// What to do about it, as the end of a sentence; empty where that depends on the call.
        remedy: &'static str,
    },
    /// Something that waits, on a stream whose work is recorded for a graph instead of run.
    #[error("cannot {call} while the stream is captured: do it before the capture")]
    Capturing {
        /// What was asked for.
        call: &'static str,
    },
    /// Memory that a graph will write: the work that does is recorded, and has not run.
    #[error(
        "memory on {device} is not written yet, stream {stream:#x} is captured and its work runs with \
         the graph: use the memory on that stream (make Stream::external({stream:#x}) the current one), \
         or after the graph has run"
    )]
    NotRun {
        /// Where the memory is.
        device: Device,
        /// Handle of the stream that is captured.
        stream: usize,
    },
    /// The stream handle 0, which may mean the legacy or the per-thread default stream.
    #[error("stream 0 is ambiguous: pass 1 (legacy default) or 2 (per-thread default)")]
    AmbiguousStream,
    /// A kernel that the kernels of this build do not have.
    #[error("no kernel {name}")]
    NoKernel {
        /// Its name.
        name: &'static str,
    },
    /// Memory that is not where its producer says.
    #[error("{len_bytes} B at {address:#x} are not on {device}: the driver finds {facts}")]
    WrongPointer {
        /// Device that was claimed.
        device: Device,
        /// First byte.
        address: usize,
        /// Bytes that were claimed.
        len_bytes: usize,
        /// What the driver says of the address.
        facts: String,
    },
    /// Host code asked for memory that it cannot touch.
    #[error("storage is on {device}, host memory needed: {}", to_host(*device, &format_args!("{len_bytes} B")))]
    NotHost {
        /// Where the memory is.
        device: Device,
        /// Size of the storage.
        len_bytes: usize,
    },
}

impl StorageError {
    /// What every call answers that needs work on a device which no back end of this build drives.
    #[must_use]
    pub fn undriven(device: Device) -> Self {
        let reason = match device {
            Device::Cuda(_) | Device::CudaHost => "this build has no feature `cuda`",
            _ => "nothing here drives it: copy its memory with the library that made it",
        };
        Self::NoDevice { device, reason: reason.to_owned() }
    }
}

/// How memory of a device gets to the host.
#[doc(hidden)]
#[must_use]
pub fn to_host(device: Device, copied: &dyn fmt::Display) -> String {
    match device {
        Device::Other(_) => "copy it with the library that made it".to_owned(),
        _ => format!("call cpu() first (copies {copied})"),
    }
}

/// Why a borrow, or a change of who may borrow, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BorrowError {
    /// Another borrow holds some of the same bytes.
    #[error(
        "already borrowed {held} at {held_at}{}, wanted {wanted} at {wanted_at}",
        OfFile(held_bytes, *in_file)
    )]
    Conflict {
        /// What was asked for.
        wanted: BorrowKind,
        /// Who asked.
        wanted_at: CallSite,
        /// What the other borrow is for.
        held: BorrowKind,
        /// Who took the other borrow.
        held_at: CallSite,
        /// First to past-the-last address that the other borrow reaches.
        held_bytes: Range<usize>,
        /// Whether `held_bytes` are counted from the start of a mapped file, instead of addresses:
        /// the other borrow may be through another map of the file.
        in_file: bool,
    },
    /// The storage cannot change hands while it is borrowed.
    #[error(
        "cannot lend at {wanted_at}: still borrowed {held} at {held_at}, drop that guard first"
    )]
    StillBorrowed {
        /// Who wanted to lend.
        wanted_at: CallSite,
        /// What the borrow is for.
        held: BorrowKind,
        /// Who took the borrow.
        held_at: CallSite,
    },
    /// Writing was asked of memory that is never written.
    #[error("{owner} is read-only, cannot be borrowed {wanted}: copy it to get writable memory")]
    ReadOnly {
        /// What was asked for.
        wanted: BorrowKind,
        /// Kind of owner of the bytes.
        owner: &'static str,
    },
    /// Writing was asked of memory whose producer cannot say whether it may be written.
    #[error(
        "{owner} does not say whether it is writable, cannot be borrowed {wanted}: \
         copy it, or call assume_writable() if you know that it is"
    )]
    UnknownMutability {
        /// What was asked for.
        wanted: BorrowKind,
        /// Kind of owner of the bytes.
        owner: &'static str,
    },
    /// Writing was asked of a layout in which two items share a byte.
    #[error("layout reaches a byte twice, cannot be borrowed {wanted}: copy it to write")]
    ReachesTwice {
        /// What was asked for.
        wanted: BorrowKind,
    },
    /// A device still copies from or to the memory, and waiting for it failed.
    #[error("waiting for a device that copies this memory failed: {reason}")]
    Device {
        /// What the driver says.
        reason: String,
    },
    /// The gate of lent memory is closed.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The bytes are lent through another map of their file, whose gate is closed.
    #[error("another map of this file is lent, and {0}")]
    FileLent(GateError),
    /// The region is not one that memory can have.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The region leaves the storage.
    #[error("region {region:#x?} is not inside the storage, {storage:#x?}")]
    OutsideStorage {
        /// First to past-the-last address of the region.
        region: Range<usize>,
        /// First to past-the-last address of the storage.
        storage: Range<usize>,
    },
}

/// The bytes of a mapped file that a borrow holds, in parentheses.
struct OfFile<'a>(&'a Range<usize>, bool);

impl fmt::Display for OfFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes, in_file) = self;
        if *in_file { write!(f, " (bytes {bytes:?} of the mapped file)") } else { Ok(()) }
    }
}
