//! A back end over host memory behind addresses that fault: whoever takes device memory for the
//! host's ends there. It works at once, the slow obvious way, and remembers what it did.

use std::any::Any;
use std::cell::{RefCell, UnsafeCell};
use std::ops::Range;

use bytemuck::checked::pod_read_unaligned;
use ndbridge_tensor::dtype::{convert, match_dtype};
use ndbridge_tensor::storage::{
    Allocated, Backend, BorrowKind, Consumer, DeviceBytes, Notes, OwnedBorrow, StorageError,
    register_backend,
};
use ndbridge_tensor::{DType, Device, DeviceElements, DeviceEngine, Engine, Storage, Walk};

/// What a fake did, with the count of bytes or elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    Upload(usize),
    Download(usize),
    Between(usize),
    Copy(usize),
    Cast(usize),
    Fill(usize),
    Settle(BorrowKind),
    HandOver(Consumer, BorrowKind),
    EndOfNotes,
}

thread_local! {
    static DONE: RefCell<Vec<Done>> = const { RefCell::new(Vec::new()) };
}

fn note(done: Done) {
    DONE.with_borrow_mut(|all| all.push(done));
}

/// What was done on this thread since the last call.
pub fn done() -> Vec<Done> {
    DONE.take()
}

/// Two devices of one kind; page-locked host memory too, if it locks pages.
pub struct Fake {
    name: &'static str,
    kind: i32,
    locks_pages: bool,
    engine: &'static Engine,
}

static FIRST: Fake = Fake { name: "first", kind: 14, locks_pages: true, engine: &FIRST_ENGINE };
static FIRST_ENGINE: Engine = Engine(&FIRST);
register_backend!(&FIRST);

static SECOND: Fake = Fake { name: "second", kind: 7, locks_pages: false, engine: &SECOND_ENGINE };
static SECOND_ENGINE: Engine = Engine(&SECOND);
register_backend!(&SECOND);

/// Between an address here and the one that the host sees: of no memory that a process can have.
const AWAY: usize = 1 << 62;

/// Memory with values; a vector, which is moved without a claim to be the only way to it.
struct Block(Vec<UnsafeCell<u128>>);

// SAFETY: plain memory; whoever uses it holds a borrow.
unsafe impl Sync for Block {}

struct EndNoted;

impl Drop for EndNoted {
    fn drop(&mut self) {
        // Whatever is dropped at the end of a thread has nobody to tell.
        let _ = DONE.try_with(|all| all.borrow_mut().push(Done::EndOfNotes));
    }
}

fn here(address: usize) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address.wrapping_sub(AWAY))
}

// SAFETY: memory is the storage's own, and everything has been done when a call returns.
unsafe impl Backend for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn drives(&self, device: Device) -> bool {
        let is_page_locked = device == Device::CudaHost && self.locks_pages;
        is_page_locked || (!device.is_host() && device.to_dlpack().unwrap().0 == self.kind)
    }

    fn is_available(&self) -> bool {
        true
    }

    fn check_exists(&self, device: Device) -> Result<(), StorageError> {
        match device.to_dlpack() {
            Some((_, 0 | 1)) => Ok(()),
            _ => Err(StorageError::NoDevice { device, reason: "there are two".to_owned() }),
        }
    }

    fn engine(&self) -> Option<&'static (dyn Any + Send + Sync)> {
        Some(self.engine)
    }

    fn page_locked(&self) -> Option<Device> {
        self.locks_pages.then_some(Device::CudaHost)
    }

    fn allocate(&self, device: Device, len_bytes: usize) -> Result<Storage, StorageError> {
        self.check_exists(device)?;
        let mut block = Block((0..len_bytes.div_ceil(16)).map(|_| UnsafeCell::new(7)).collect());
        let start = block.0.as_mut_ptr().expose_provenance();
        let ptr = match device.is_host() {
            true => std::ptr::with_exposed_provenance_mut(start),
            false => std::ptr::without_provenance_mut(start.wrapping_add(AWAY)),
        };
        let (owner, name, notes) = (block, "fake allocation", Box::new(()));
        let allocated = Allocated { owner, name, ptr, len_bytes, device, notes };
        let backend: &'static Self = if self.kind == FIRST.kind { &FIRST } else { &SECOND };
        // SAFETY: as many bytes with values, which the owner keeps and nobody else knows.
        Ok(unsafe { Storage::of_backend(allocated, backend) })
    }

    fn adopt(&self, _device: Device) -> Result<Notes, StorageError> {
        Ok(Box::new(EndNoted))
    }

    fn check_pointer(
        &self,
        device: Device,
        address: usize,
        len_bytes: usize,
    ) -> Result<(), StorageError> {
        if address >= AWAY {
            return Ok(());
        }
        let facts = "host memory".to_owned();
        Err(StorageError::WrongPointer { device, address, len_bytes, facts })
    }

    fn device_of(&self, _address: usize) -> Result<Device, StorageError> {
        Ok(Device::from_dlpack(self.kind, 0).unwrap())
    }

    fn queue(&self, _device: Device) -> Result<usize, StorageError> {
        Ok(1)
    }

    unsafe fn wait_for(&self, _device: Device, _earlier: Consumer) -> Result<(), StorageError> {
        Ok(())
    }

    unsafe fn hand_over(
        &self,
        _storage: &Storage,
        to: Consumer,
        kind: BorrowKind,
    ) -> Result<(), StorageError> {
        note(Done::HandOver(to, kind));
        Ok(())
    }

    fn note_ready(&self, _storage: &Storage) -> Result<(), StorageError> {
        Ok(())
    }

    fn is_ready(&self, _storage: &Storage) -> Result<bool, StorageError> {
        Ok(true)
    }

    fn wait_until_ready(&self, _storage: &Storage) -> Result<(), StorageError> {
        Ok(())
    }

    fn synchronize(&self, _device: Device) -> Result<(), StorageError> {
        Ok(())
    }

    fn settle(&self, kind: BorrowKind, _addresses: &Range<usize>) -> Result<(), StorageError> {
        note(Done::Settle(kind));
        Ok(())
    }

    unsafe fn upload(
        &self,
        to: DeviceBytes<'_>,
        from: *const u8,
        _held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError> {
        note(Done::Upload(to.len_bytes));
        // SAFETY: promised by the caller; as many bytes of the storage's own memory.
        unsafe { std::ptr::copy_nonoverlapping(from, here(to.address), to.len_bytes) };
        Ok(())
    }

    unsafe fn download(
        &self,
        to: *mut u8,
        from: DeviceBytes<'_>,
        _held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError> {
        note(Done::Download(from.len_bytes));
        // SAFETY: promised by the caller; as many bytes of the storage's own memory.
        unsafe { std::ptr::copy_nonoverlapping(here(from.address), to, from.len_bytes) };
        Ok(())
    }

    unsafe fn copy_between(
        &self,
        to: DeviceBytes<'_>,
        from: DeviceBytes<'_>,
        _is_exact: bool,
    ) -> Result<(), StorageError> {
        assert_eq!(from.storage.backend().unwrap().name(), to.storage.backend().unwrap().name());
        note(Done::Between(from.len_bytes));
        let (from, to, len_bytes) = (here(from.address), here(to.address), to.len_bytes);
        // SAFETY: promised by the caller; as many bytes of two storages.
        unsafe { std::ptr::copy_nonoverlapping(from, to, len_bytes) };
        Ok(())
    }
}

// SAFETY: reaches the elements of the walk, one by one.
unsafe impl DeviceEngine for Fake {
    unsafe fn copy(
        &self,
        walk: &Walk,
        from: DeviceElements<'_>,
        to: DeviceElements<'_>,
    ) -> Result<(), StorageError> {
        assert_eq!(from.storage.device(), to.storage.device(), "one device");
        let offsets = offsets(walk);
        let is_cast = from.dtype != to.dtype;
        note(if is_cast { Done::Cast(offsets.len()) } else { Done::Copy(offsets.len()) });
        for (source, destination) in offsets {
            let address = from.address.wrapping_add_signed(source);
            let bytes = read(address, from.dtype.item_bytes());
            let bytes = if is_cast { cast(&bytes, from.dtype, to.dtype) } else { bytes };
            write(to.address.wrapping_add_signed(destination), &bytes);
        }
        Ok(())
    }

    unsafe fn fill(
        &self,
        walk: &Walk,
        to: DeviceElements<'_>,
        value: &[u8],
    ) -> Result<(), StorageError> {
        let offsets = offsets(walk);
        note(Done::Fill(offsets.len()));
        assert_eq!(value.len(), to.dtype.item_bytes());
        for (_, destination) in offsets {
            write(to.address.wrapping_add_signed(destination), value);
        }
        Ok(())
    }
}

/// Offsets of every element on both sides; checks what engines are promised of a walk.
fn offsets(walk: &Walk) -> Vec<(isize, isize)> {
    let axes = walk.axes();
    assert!(axes.iter().all(|axis| axis.len >= 2 && axis.destination >= 0), "{axes:?}");
    assert!(axes.is_sorted_by_key(|axis| std::cmp::Reverse(axis.destination)), "{axes:?}");
    let start = (walk.source_start, walk.destination_start);
    axes.iter().fold(vec![start], |heads, axis| {
        let step = |&(source, destination): &(isize, isize)| {
            let axis = *axis;
            (0..axis.len as isize).map(move |index| {
                (source + index * axis.source, destination + index * axis.destination)
            })
        };
        heads.iter().flat_map(step).collect()
    })
}

fn read(address: usize, len_bytes: usize) -> Vec<u8> {
    // SAFETY: an element of a walk, inside of a storage of this back end.
    unsafe { std::slice::from_raw_parts(here(address), len_bytes) }.to_vec()
}

fn write(address: usize, bytes: &[u8]) {
    // SAFETY: as above, apart from `bytes`.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), here(address), bytes.len()) };
}

fn cast(bytes: &[u8], from: DType, to: DType) -> Vec<u8> {
    match_dtype!(from, S => match_dtype!(to, D => {
        bytemuck::bytes_of(&convert::<S, D>(pod_read_unaligned(bytes))).to_vec()
    }))
}
