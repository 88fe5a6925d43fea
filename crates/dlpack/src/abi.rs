//! The C structures of DLPack 1.x, as `dlpack.h` lays them out.

use std::ffi::{c_char, c_int, c_void};

/// `DLDevice`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlDevice {
    /// Kind of device: 1 CPU, 2 CUDA, 3 pinned host memory, 13 managed memory.
    pub kind: i32,
    /// Ordinal among its kind.
    pub id: i32,
}

/// `kDLCPU`.
pub const CPU: i32 = 1;
/// `kDLCUDA`.
pub const CUDA: i32 = 2;
/// `kDLCUDAHost`: pinned host memory.
pub const CUDA_HOST: i32 = 3;
/// `kDLCUDAManaged`: memory that moves between the host and a CUDA device.
pub const CUDA_MANAGED: i32 = 13;

/// `DLDataType`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlDataType {
    /// Kind of number.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Lanes of one element.
    pub lanes: u16,
}

/// `DLTensor`.
#[repr(C)]
#[derive(Debug)]
pub struct DlTensor {
    /// Start of the memory.
    pub data: *mut c_void,
    /// Where it is.
    pub device: DlDevice,
    /// Number of axes.
    pub ndim: i32,
    /// Type of the elements.
    pub dtype: DlDataType,
    /// `ndim` lengths.
    pub shape: *mut i64,
    /// `ndim` strides, in elements.
    pub strides: *mut i64,
    /// Bytes from `data` to element `[0, .., 0]`.
    pub byte_offset: u64,
}

/// `DLPackVersion`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlVersion {
    /// A reader of another major version must not look further than the deleter.
    pub major: u32,
    /// Adds enumerators only.
    pub minor: u32,
}

/// What is produced here, and the newest that is understood.
pub const VERSION: DlVersion = DlVersion { major: 1, minor: 3 };

/// `DLPACK_FLAG_BITMASK_READ_ONLY`.
pub const READ_ONLY: u64 = 1;
/// `DLPACK_FLAG_BITMASK_IS_COPIED`.
pub const IS_COPIED: u64 = 2;

/// `DLManagedTensor`: the legacy form, without version and flags.
#[repr(C)]
#[derive(Debug)]
pub struct DlManaged {
    /// The array.
    pub tensor: DlTensor,
    /// The producer's own.
    pub context: *mut c_void,
    /// Gives the memory back; called once, with this structure.
    pub deleter: Option<unsafe extern "C" fn(*mut DlManaged)>,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
#[derive(Debug)]
pub struct DlManagedVersioned {
    /// Version of the structure.
    pub version: DlVersion,
    /// The producer's own.
    pub context: *mut c_void,
    /// Gives the memory back; called once, with this structure.
    pub deleter: Option<unsafe extern "C" fn(*mut DlManagedVersioned)>,
    /// Bits such as [`READ_ONLY`].
    pub flags: u64,
    /// The array.
    pub tensor: DlTensor,
}

/// `DLPackExchangeAPIHeader`.
#[repr(C)]
#[derive(Debug)]
pub struct DlExchangeHeader {
    /// Version of the table.
    pub version: DlVersion,
    /// A table of an older version, or null.
    pub previous: *mut DlExchangeHeader,
}

/// Where an allocator reports what went wrong: context, kind, message.
pub type DlSetError = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char);

/// `DLPackExchangeAPI`: the functions behind `type(x).__dlpack_c_exchange_api__`.
#[repr(C)]
#[derive(Debug)]
pub struct DlExchange {
    /// Version, and older tables.
    pub header: DlExchangeHeader,
    /// Makes a tensor like a prototype.
    pub allocate: Option<
        unsafe extern "C" fn(
            *mut DlTensor,
            *mut *mut DlManagedVersioned,
            *mut c_void,
            Option<DlSetError>,
        ) -> c_int,
    >,
    /// The tensor of a Python object, to be kept.
    pub from_object:
        Option<unsafe extern "C" fn(*mut c_void, *mut *mut DlManagedVersioned) -> c_int>,
    /// A Python object of a tensor, which it takes over.
    pub to_object: Option<unsafe extern "C" fn(*mut DlManagedVersioned, *mut *mut c_void) -> c_int>,
    /// The tensor of a Python object, valid until Python code runs.
    pub view_object: Option<unsafe extern "C" fn(*mut c_void, *mut DlTensor) -> c_int>,
    /// The stream that work on a device goes to now.
    pub current_stream: Option<unsafe extern "C" fn(i32, i32, *mut *mut c_void) -> c_int>,
}

// SAFETY: a table is written once, before anybody can see it, and lives as long as the process; its
// functions say for themselves which threads may call them.
unsafe impl Send for DlExchange {}
// SAFETY: as above.
unsafe impl Sync for DlExchange {}

const _: () = {
    assert!(size_of::<DlTensor>() == 48);
    assert!(size_of::<DlManaged>() == 64);
    assert!(size_of::<DlManagedVersioned>() == 80);
    assert!(size_of::<DlExchange>() == 56);
};
