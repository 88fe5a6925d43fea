//! Owners live as long as any handle, and are dropped once.
#![expect(unsafe_code, reason = "makes foreign memory and looks into it")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndbridge_storage::{
    ALIGN_BYTES, Access, BorrowKind, Device, Foreign, ForeignAccess, Mutability, Region, Storage,
    StorageError, gate,
};

/// Eight bytes that count how often their owner was dropped.
struct Counted {
    bytes: Vec<u8>,
    drops: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
        self.bytes.fill(0xdd);
        if self.panics {
            resume_unwind(Box::new("the owner panics"));
        }
    }
}

/// A foreign storage and the count of drops of its owner; `change` may spoil the description.
fn counted(
    change: impl FnOnce(&mut Foreign<Counted>),
) -> (Result<Storage, StorageError>, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let mut owner = Counted { bytes: (0..8).collect(), drops: drops.clone(), panics: false };
    let mut foreign = Foreign {
        ptr: owner.bytes.as_mut_ptr(),
        len_bytes: 8,
        owner,
        name: "counted bytes",
        device: Device::Cpu,
        mutability: Mutability::Writable,
        access: ForeignAccess::Private,
    };
    change(&mut foreign);
    // SAFETY: the vector owns the bytes; spoiled descriptions are refused.
    (unsafe { Storage::from_foreign(foreign) }, drops)
}

fn count(drops: &AtomicUsize) -> usize {
    drops.load(Ordering::SeqCst)
}

fn read(storage: &Storage) -> Vec<u8> {
    let (start, len) = (storage.host_ptr().unwrap(), storage.len_bytes());
    let region = Region { start: start as usize, item_bytes: 1, shape: &[len], strides: &[1] };
    let _held = storage.borrow(BorrowKind::Read, &region).unwrap();
    // SAFETY: borrowed, and the storage keeps them.
    unsafe { std::slice::from_raw_parts(start, len) }.to_vec()
}

#[test]
fn own_1_clones_share_and_keep_alive() {
    let (storage, drops) = counted(|_| ());
    let storage = storage.unwrap();
    let handles: Vec<Storage> = (0..5).map(|_| storage.clone()).collect();
    assert_eq!(storage.handles(), 6);
    drop(storage);
    for (gone, handle) in handles.into_iter().enumerate() {
        assert_eq!((count(&drops), handle.handles()), (0, 5 - gone));
        assert_eq!(read(&handle), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_1_last_handle_may_go_on_another_thread() {
    let (storage, drops) = counted(|_| ());
    let storage = storage.unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = storage.clone();
            std::thread::spawn(move || assert_eq!(read(&handle)[7], 7))
        })
        .collect();
    drop(storage);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_1_a_borrow_with_its_own_handle_keeps_alive() {
    let (storage, drops) = counted(|_| ());
    let storage = storage.unwrap();
    let start = storage.as_ptr();
    let region = Region { start: start as usize, item_bytes: 8, shape: &[], strides: &[] };
    let held = storage.borrow_owned(BorrowKind::Read, &region).unwrap();
    drop(storage);
    assert_eq!(count(&drops), 0);
    // SAFETY: borrowed, and the borrow keeps the storage.
    assert_eq!(unsafe { start.cast::<[u8; 8]>().read() }, [0, 1, 2, 3, 4, 5, 6, 7]);
    drop(held);
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_2_dropped_once_when_refused() {
    let null = |foreign: &mut Foreign<_>| foreign.ptr = std::ptr::null_mut();
    let (refused, drops) = counted(null);
    assert!(matches!(refused, Err(StorageError::NullPointer { len_bytes: 8 })));
    assert_eq!(count(&drops), 1);

    for len_bytes in [usize::MAX, isize::MAX as usize + 1] {
        let (refused, drops) = counted(|foreign| foreign.len_bytes = len_bytes);
        assert!(matches!(refused, Err(StorageError::PastAddressSpace { .. })), "{len_bytes}");
        assert_eq!(count(&drops), 1, "{len_bytes}");
    }

    // 8 bytes where no program has memory; nothing of them is read.
    let kernel = if cfg!(target_arch = "x86_64") { 1 << 63 } else { usize::MAX - 7 };
    for address in [usize::MAX, usize::MAX - 7, kernel] {
        let (refused, drops) =
            counted(|foreign| foreign.ptr = std::ptr::without_provenance_mut(address));
        assert!(matches!(refused, Err(StorageError::PastAddressSpace { .. })), "{address:#x}");
        assert_eq!(count(&drops), 1, "{address:#x}");
    }
}

#[test]
fn only_bytes_that_a_program_can_have_are_memory() {
    let (kib, last) = (1 << 10, usize::MAX);
    let host_end: usize = if cfg!(target_arch = "x86_64") { 1 << 56 } else { last };
    for (device, address, len_bytes, is_memory) in [
        (Device::Cpu, 1, 1, true),
        (Device::Cpu, 0, 0, true),
        (Device::Cpu, last, 0, true),
        (Device::Cpu, 0, 1, false),
        (Device::Cpu, last, 1, false),
        (Device::Cpu, last - kib, 2 * kib, false),
        (Device::Cpu, host_end - kib, kib, true),
        (Device::Cpu, host_end - kib, kib + 1, false),
        (Device::CudaHost, host_end - kib, kib + 1, false),
        (Device::Cpu, kib, isize::MAX as usize + 1, false),
        (Device::Cuda(0), last - kib, kib, true),
        (Device::Cuda(0), last - kib, kib + 1, false),
        (Device::Cuda(0), 0, 1, false),
        (Device::Cuda(0), kib, isize::MAX as usize + 1, false),
    ] {
        let checked = device.check_addresses(address, len_bytes);
        assert_eq!(checked.is_ok(), is_memory, "{device}, {address:#x}, {len_bytes}");
    }
}

#[test]
fn own_2_dropped_once_when_its_holder_panics() {
    let (storage, drops) = counted(|_| ());
    let storage = storage.unwrap();
    let handle = storage.clone();
    let died = catch_unwind(AssertUnwindSafe(|| {
        let _handle = handle;
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(died.is_err());
    assert_eq!((count(&drops), storage.handles()), (0, 1));
    drop(storage);
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_2_dropped_once_when_its_drop_panics() {
    let (storage, drops) = counted(|foreign| foreign.owner.panics = true);
    let storage = storage.unwrap();
    let other = storage.clone();
    drop(storage);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(other))).is_err());
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_2_dropped_once_after_it_was_moved_out() {
    let (storage, drops) = counted(|_| ());
    let owner: Counted = storage.unwrap().try_into_owner().unwrap();
    assert_eq!((count(&drops), owner.bytes[5]), (0, 5));
    drop(owner);
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_2_dropped_once_after_a_refused_move() {
    let (storage, drops) = counted(|_| ());
    let storage = storage.unwrap().try_into_owner::<Vec<u8>>().unwrap_err();
    assert_eq!((count(&drops), read(&storage)[1]), (0, 1));
    drop(storage);
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_3_a_vec_comes_back_with_its_allocation() {
    let mut vec = Vec::with_capacity(100);
    vec.extend([1.5f32, 2.5, 3.5]);
    let address = vec.as_ptr();
    let storage = Storage::from_vec(vec);
    assert_eq!((storage.as_ptr() as *const f32, storage.len_bytes()), (address, 12));
    assert_eq!(storage.owner_name(), "Vec<f32>");
    // SAFETY: nothing borrows it.
    unsafe { storage.as_ptr().cast::<f32>().write(9.0) };
    let storage = storage.try_into_owner::<Vec<f64>>().unwrap_err();
    let vec: Vec<f32> = storage.try_into_owner().unwrap();
    assert_eq!((vec.as_ptr(), vec.capacity(), &vec[..]), (address, 100, &[9.0, 2.5, 3.5][..]));
}

#[test]
fn own_3_a_vec_stays_while_others_hold_it() {
    let storage = Storage::from_vec(vec![1u8; 4]);
    let other = storage.clone();
    let storage = storage.try_into_owner::<Vec<u8>>().unwrap_err();
    drop(other);
    assert!(storage.is_unique());
    assert_eq!(storage.try_into_owner::<Vec<u8>>().unwrap(), [1; 4]);
}

#[test]
fn own_3_a_vec_of_bool_comes_back_only_with_bools() {
    let storage = Storage::from_vec(vec![true, false, true]);
    // SAFETY: nothing borrows it; bytes of a storage may hold anything.
    unsafe { storage.as_ptr().cast::<[u8; 3]>().write([1, 2, 1]) };
    let storage = storage.try_into_owner::<Vec<bool>>().unwrap_err();
    assert_eq!(read(&storage), [1, 2, 1]);
    // SAFETY: as above.
    unsafe { storage.as_ptr().cast::<[u8; 3]>().write([1, 1, 1]) };
    assert_eq!(storage.try_into_owner::<Vec<bool>>().unwrap(), [true; 3]);
}

#[test]
fn own_5_lent_memory_keeps_its_owner() {
    let storage = Storage::from_vec(vec![7u8; 16]);
    let exported = storage.clone();
    storage.lend(Arc::new(gate::Always)).unwrap();
    drop(storage);
    let exported = exported.try_into_owner::<Vec<u8>>().unwrap_err();
    assert_eq!((exported.access(), exported.handles()), (Access::Lent, 1));
    assert_eq!(read(&exported), [7; 16]);

    let lent =
        |foreign: &mut Foreign<_>| foreign.access = ForeignAccess::Lent(Arc::new(gate::Always));
    let (storage, drops) = counted(lent);
    let storage = storage.unwrap().try_into_owner::<Counted>().err().expect("lent memory stays");
    assert_eq!((count(&drops), read(&storage)[6]), (0, 6));
    drop(storage);
    assert_eq!(count(&drops), 1);
}

#[test]
fn own_1_no_bytes_from_any_pointer() {
    for ptr in [
        std::ptr::null_mut(),
        std::ptr::dangling_mut(),
        std::ptr::without_provenance_mut(usize::MAX),
    ] {
        let (storage, drops) = counted(|foreign| (foreign.ptr, foreign.len_bytes) = (ptr, 0));
        let storage = storage.unwrap();
        assert!(!storage.as_ptr().is_null());
        assert_eq!(read(&storage), []);
        drop(storage);
        assert_eq!(count(&drops), 1);
    }
    assert_eq!(read(&Storage::from_vec(Vec::<f64>::new())), []);
    assert_eq!(read(&Storage::from_vec(vec![(); 3])), []);
    let unit = Storage::from_vec(vec![(); 3]).try_into_owner::<Vec<()>>().unwrap();
    assert_eq!(unit.len(), 3);
}

#[test]
fn allocations_are_aligned_and_hold_their_bytes() {
    for len_bytes in [0, 1, 7, 8, 63, 64, 65, 1000] {
        let zeroed = Storage::zeroed(len_bytes).unwrap();
        assert!(read(&zeroed).iter().all(|&byte| byte == 0));
        let bytes: Vec<u8> = (0..len_bytes).map(|byte| byte as u8).collect();
        let copied = Storage::copied_from(&bytes).unwrap();
        assert_eq!(read(&copied), bytes);
        let mut uninit = Storage::uninit(len_bytes).unwrap();
        assert_eq!((uninit.len_bytes(), uninit.as_uninit_mut().len()), (len_bytes, len_bytes));
        // SAFETY: `len_bytes` from there are ours.
        unsafe { uninit.as_mut_ptr().write_bytes(3, len_bytes) };
        // SAFETY: written by the line above.
        let filled = unsafe { uninit.assume_init() };
        assert!(read(&filled).iter().all(|&byte| byte == 3));
        for storage in [zeroed, copied, filled] {
            assert_eq!(storage.as_ptr() as usize % ALIGN_BYTES, 0, "{storage:?}");
            assert_eq!((storage.len_bytes(), storage.access()), (len_bytes, Access::Private));
            assert_eq!(storage.owner_name(), "aligned allocation");
        }
    }
}

#[test]
fn sizes_beyond_memory_are_errors() {
    for len_bytes in [usize::MAX, usize::MAX - 47, isize::MAX as usize + 1, isize::MAX as usize] {
        let refused = [Storage::zeroed(len_bytes).err(), Storage::uninit(len_bytes).err()];
        for error in refused {
            assert!(
                matches!(error, Some(StorageError::TooLarge { len_bytes: n }) if n == len_bytes)
            );
        }
    }
}

#[test]
fn dev_1_host_code_gets_no_pointer_to_device_memory() {
    let (storage, _) = counted(|foreign| foreign.device = Device::Cuda(1));
    let storage = storage.unwrap();
    let error = storage.host_ptr().unwrap_err();
    assert!(matches!(error, StorageError::NotHost { device: Device::Cuda(1), len_bytes: 8 }));
    assert_eq!(
        error.to_string(),
        "storage is on cuda:1, host memory needed: call cpu() first (copies 8 B)"
    );
    assert!(storage.try_into_owner::<Counted>().is_ok());
    let (pinned, _) = counted(|foreign| foreign.device = Device::CudaHost);
    assert!(pinned.unwrap().host_ptr().is_ok());
}

#[test]
fn debug_shows_what_it_is() {
    let (storage, _) = counted(|_| ());
    let text = format!("{:?}", storage.unwrap());
    for part in ["counted bytes", "cpu", "Private", "Writable", "handles: 1"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
