//! DLPack structures in and out, without Python.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]
#![expect(unsafe_code, reason = "makes and reads structures as foreign code does")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use ndbridge_dlpack::{
    CPU, CUDA, DlDataType, DlDevice, DlManaged, DlManagedVersioned, DlTensor, DlVersion,
    DlpackError, Exported, IS_COPIED, ManagedOwner, READ_ONLY, VERSION, dtype_code, from_managed,
    from_managed_versioned,
};
use ndbridge_storage::gate::Always;
use ndbridge_storage::{Access, BorrowError, ForeignAccess, Mutability};
use ndbridge_tensor::{CopyOrder, DType, Tensor, TensorError, copies, shares_memory};

fn lent() -> ForeignAccess {
    ForeignAccess::Lent(Arc::new(Always))
}

fn lend(tensor: &Tensor) -> &Tensor {
    tensor.storage().lend(Arc::new(Always)).unwrap();
    tensor
}

fn versioned_alias(tensor: &Tensor) -> Tensor {
    let managed = Exported::new(lend(tensor)).unwrap().into_versioned(false);
    // SAFETY: a new structure; its memory is used by guards only.
    unsafe { from_managed_versioned(disguised(managed), lent()) }.unwrap()
}

/// The same structure, as if another library had made it.
fn disguised(managed: *mut DlManagedVersioned) -> *mut DlManagedVersioned {
    unsafe extern "C" fn pass_on(managed: *mut DlManagedVersioned) {
        // SAFETY: made below, deleted once.
        let managed = unsafe { Box::from_raw(managed) };
        let original = managed.context.cast::<DlManagedVersioned>();
        // SAFETY: live until now.
        let deleter = unsafe { (*original).deleter }.unwrap();
        // SAFETY: its own deleter, called once.
        unsafe { deleter(original) };
    }
    // SAFETY: a live structure, of which all is copied and the original kept.
    let copy = unsafe { managed.read() };
    let (context, deleter) = (managed.cast(), Some(pass_on as unsafe extern "C" fn(_)));
    Box::into_raw(Box::new(DlManagedVersioned { context, deleter, ..copy }))
}

/// The same of a legacy structure.
fn disguised_legacy(managed: *mut DlManaged) -> *mut DlManaged {
    unsafe extern "C" fn pass_on(managed: *mut DlManaged) {
        // SAFETY: made below, deleted once.
        let managed = unsafe { Box::from_raw(managed) };
        let original = managed.context.cast::<DlManaged>();
        // SAFETY: live until now.
        let deleter = unsafe { (*original).deleter }.unwrap();
        // SAFETY: its own deleter, called once.
        unsafe { deleter(original) };
    }
    // SAFETY: a live structure, of which all is copied and the original kept.
    let copy = unsafe { managed.read() };
    let (context, deleter) = (managed.cast(), Some(pass_on as unsafe extern "C" fn(_)));
    Box::into_raw(Box::new(DlManaged { context, deleter, ..copy }))
}

fn matrix() -> Tensor {
    Tensor::from_vec_with_shape((0..12).collect::<Vec<i32>>(), &[3, 4]).unwrap()
}

/// Views by name of their layout.
fn zoo(tensor: &Tensor) -> Vec<(&'static str, Tensor)> {
    vec![
        ("C", tensor.clone()),
        ("F", tensor.transpose().unwrap()),
        ("reversed", tensor.flip(&[0, 1]).unwrap()),
        ("offset", tensor.slice(ndarray::s![1.., 2..]).unwrap()),
        ("stepped", tensor.slice(ndarray::s![..;2, ..;3]).unwrap()),
        ("broadcast", tensor.select(0, 1).unwrap().unsqueeze(0).unwrap().expand(&[5, 4]).unwrap()),
        ("rank 0", tensor.select(0, 1).unwrap().select(0, 1).unwrap()),
        ("empty", tensor.slice(ndarray::s![..0, ..]).unwrap()),
    ]
}

#[test]
fn shr_1_every_layout_crosses_without_a_copy() {
    let base = matrix();
    for (name, view) in zoo(&base) {
        let before = copies().bytes;
        let alias = versioned_alias(&view);
        assert_eq!(copies().bytes, before, "{name}");
        assert_eq!((alias.shape(), alias.dtype()), (view.shape(), view.dtype()), "{name}");
        assert!(alias.receipt().is_shared(), "{name}");
        if view.is_empty() {
            continue;
        }
        assert_eq!((alias.as_ptr(), alias.strides()), (view.as_ptr(), view.strides()), "{name}");
        assert!(shares_memory(&alias, &base), "{name}");
        assert_eq!(alias.to_array::<i32>().unwrap(), view.to_array::<i32>().unwrap(), "{name}");
    }
}

#[test]
fn dty_1_every_data_type_survives() {
    for dtype in DType::ALL {
        let tensor = Tensor::zeros(&[2, 3], dtype).unwrap();
        assert_eq!(versioned_alias(&tensor).dtype(), dtype);
        let code = dtype_code(dtype);
        assert_eq!(usize::from(code.bits) * usize::from(code.lanes), 8 * dtype.item_bytes());
    }
}

#[test]
fn shr_4_writes_are_seen_both_ways_and_mut_1_guards_exclude_each_other() {
    let tensor = matrix();
    let alias = versioned_alias(&tensor);
    alias.write::<i32>().unwrap()[[0, 0]] = 70;
    assert_eq!(tensor.read::<i32>().unwrap()[[0, 0]], 70);
    let guard = tensor.write::<i32>().unwrap();
    assert!(matches!(alias.read::<i32>(), Err(TensorError::Borrow(BorrowError::Conflict { .. }))));
    drop(guard);
    alias.read::<i32>().unwrap();
}

#[test]
fn own_1_the_memory_lives_until_the_structure_is_deleted_on_any_thread() {
    let tensor = matrix();
    let storage = lend(&tensor).storage().clone();
    let managed = Exported::new(&tensor).unwrap().into_versioned(false);
    drop(tensor);
    assert_eq!(storage.handles(), 2);
    // SAFETY: a new structure.
    let owner = unsafe { ManagedOwner::versioned(managed) }.unwrap();
    std::thread::spawn(move || drop(owner)).join().unwrap();
    assert_eq!(storage.handles(), 1);
}

#[test]
fn mut_2_read_only_memory_is_marked_and_unknown_goes_out_as_it_came() {
    let tensor = Tensor::from_vec(vec![1_u8, 2]);
    lend(&tensor);
    let flags = |tensor: &Tensor, is_copied| {
        let managed = Exported::new(tensor).unwrap().into_versioned(is_copied);
        // SAFETY: a new structure.
        let flags = unsafe { (*managed).flags };
        // SAFETY: as above, taken over here.
        drop(unsafe { from_managed_versioned(managed, lent()) });
        flags
    };
    assert_eq!(flags(&tensor, false), 0);
    assert_eq!(flags(&tensor, true), IS_COPIED);
    let frozen = tensor.clone().into_read_only();
    assert_eq!(flags(&frozen, false), READ_ONLY);
    let alias = versioned_alias(&frozen);
    assert_eq!(alias.storage().mutability(), Mutability::ReadOnly);
    assert!(alias.write::<u8>().is_err());
    let legacy = Exported::new(&frozen).unwrap().into_legacy();
    assert!(matches!(legacy, Err(DlpackError::ReadOnlyLegacy)));

    let managed = Exported::new(&tensor).unwrap().into_legacy().unwrap();
    // SAFETY: a new structure.
    let unknown = unsafe { from_managed(disguised_legacy(managed), lent()) }.unwrap();
    assert_eq!(unknown.storage().mutability(), Mutability::Unknown);
    assert!(matches!(
        unknown.write::<u8>(),
        Err(TensorError::Borrow(BorrowError::UnknownMutability { .. }))
    ));
    assert_eq!(flags(&unknown, false), READ_ONLY);
    let again = Exported::new(&unknown).unwrap().into_legacy().unwrap();
    // SAFETY: a new structure.
    assert_eq!(unsafe { from_managed(again, lent()) }.unwrap().as_ptr(), tensor.as_ptr());
}

#[test]
fn mut_2_a_structure_made_here_comes_back_as_what_it_was_made_of() {
    let writable = lend(&Tensor::from_vec(vec![1_u8, 2])).clone();
    let read_only = writable.clone().into_read_only();
    let managed = Exported::new(&writable).unwrap().into_legacy().unwrap();
    // SAFETY: a new structure.
    let unknown = unsafe { from_managed(disguised_legacy(managed), lent()) }.unwrap();
    for (tensor, mutability) in [
        (writable, Mutability::Writable),
        (read_only, Mutability::ReadOnly),
        (unknown, Mutability::Unknown),
    ] {
        let handles = tensor.storage().handles();
        let mut again = tensor.clone();
        for _ in 0..3 {
            let managed = Exported::new(&again).unwrap().into_versioned(false);
            // SAFETY: a new structure.
            again = unsafe { from_managed_versioned(managed, lent()) }.unwrap();
            let managed = Exported::new(&again).unwrap().into_legacy_for_reader();
            // SAFETY: as above.
            again = unsafe { from_managed(managed, lent()) }.unwrap();
            assert_eq!(again.mutability(), mutability);
            assert!(again.storage().same_storage(tensor.storage()));
        }
        assert_eq!(again.storage().handles(), handles + 1);
    }
}

#[test]
fn a_structure_made_here_and_changed_means_what_it_says_now() {
    let tensor = lend(&Tensor::from_vec(vec![1_u8, 2, 3, 4])).clone();
    let elsewhere = [7_u8, 8, 9, 10];
    let (inside, outside) = (tensor.as_ptr().wrapping_add(1), elsewhere.as_ptr().cast_mut());
    for (data, values, is_ours) in [(inside, [2, 3], true), (outside, [7, 8], false)] {
        let managed = Exported::new(&tensor).unwrap().into_legacy().unwrap();
        // SAFETY: a new structure, whose deleter does not look at its header.
        let header = unsafe { &mut (*managed).tensor };
        let mut two = [2];
        (header.data, header.ndim, header.shape) = (data.cast(), 1, two.as_mut_ptr());
        // SAFETY: two live bytes, which outlive the tensor; the length lives until this returns.
        let back = unsafe { from_managed(managed, lent()) }.unwrap();
        assert_eq!(back.storage().same_storage(tensor.storage()), is_ours);
        let mutability = if is_ours { Mutability::Writable } else { Mutability::Unknown };
        assert_eq!((back.to_vec::<u8>().unwrap(), back.mutability()), (values.into(), mutability));
    }
}

#[test]
fn private_memory_does_not_go_out() {
    let tensor = matrix();
    assert_eq!(tensor.storage().access(), Access::Private);
    assert!(matches!(Exported::new(&tensor), Err(DlpackError::Private)));
}

#[test]
fn strides_between_elements_are_refused() {
    let bytes = lend(&Tensor::from_vec(vec![0_u8; 20])).clone();
    let rows = bytes.reshape(&[4, 5]).unwrap();
    let field = rows.slice(ndarray::s![.., ..4]).unwrap().reinterpret(DType::I32).unwrap();
    let error = Exported::new(&field).unwrap_err();
    assert!(matches!(error, DlpackError::OddStride { axis: 0, stride: 5, item_bytes: 4 }));
    Exported::new(lend(&field.copy(CopyOrder::C).unwrap())).unwrap();
}

#[test]
fn elements_off_their_alignment_are_refused_to_all_who_do_not_ask_for_them() {
    let bytes = lend(&Tensor::from_vec(vec![0_u8; 48])).clone();
    for (dtype, count) in [(DType::I16, 4_usize), (DType::F64, 2), (DType::C128, 1)] {
        let item_bytes = dtype.item_bytes();
        for start in 0..=item_bytes {
            let end = start + count * item_bytes;
            let part = bytes.slice(ndarray::s![start..end]).unwrap();
            let tensor = part.reinterpret(dtype).unwrap();
            let address = tensor.as_ptr().addr();
            if address.is_multiple_of(item_bytes) {
                Exported::new(&tensor).unwrap();
                continue;
            }
            let error = Exported::new(&tensor).unwrap_err();
            let said = (address, item_bytes);
            assert!(
                matches!(error, DlpackError::Unaligned { address, item_bytes } if said == (address, item_bytes)),
                "{dtype} at {start}: {error}"
            );
            // What the error advises.
            Exported::new(lend(&tensor.copy(CopyOrder::Keep).unwrap())).unwrap();
            // Nothing lies off its alignment where there is nothing.
            Exported::new(&tensor.slice(ndarray::s![..0]).unwrap()).unwrap();
            let managed = Exported::new_unaligned(&tensor).unwrap().into_versioned(false);
            // SAFETY: a new structure; its memory is used by guards only.
            let alias = unsafe { from_managed_versioned(managed, lent()) }.unwrap();
            assert_eq!(alias.as_ptr(), tensor.as_ptr());
        }
    }
}

thread_local! {
    // Of this test: each has a thread of its own.
    static DELETED: Cell<usize> = const { Cell::new(0) };
}

unsafe extern "C" fn count_versioned(managed: *mut DlManagedVersioned) {
    DELETED.set(DELETED.get() + 1);
    // SAFETY: made by `foreign`, deleted once.
    drop(unsafe { Box::from_raw(managed) });
}

fn foreign(tensor: DlTensor, version: DlVersion) -> *mut DlManagedVersioned {
    let (context, deleter) = (ptr::null_mut(), Some(count_versioned as unsafe extern "C" fn(_)));
    Box::into_raw(Box::new(DlManagedVersioned { version, context, deleter, flags: 0, tensor }))
}

struct Header {
    shape: Vec<i64>,
    strides: Vec<i64>,
    data: Vec<f32>,
}

impl Header {
    fn tensor(&mut self) -> DlTensor {
        DlTensor {
            data: self.data.as_mut_ptr().cast::<c_void>(),
            device: DlDevice { kind: CPU, id: 0 },
            ndim: self.shape.len() as i32,
            dtype: DlDataType { code: 2, bits: 32, lanes: 1 },
            shape: self.shape.as_mut_ptr(),
            strides: self.strides.as_mut_ptr(),
            byte_offset: 0,
        }
    }
}

/// A change that makes a header one to be refused, and the text of the refusal.
type Damage = (&'static str, fn(&mut DlTensor, &mut Header));

#[test]
fn own_2_a_refused_structure_is_deleted_once() {
    let damages: [Damage; 13] = [
        ("without memory", |t, _| t.data = ptr::null_mut()),
        ("without a shape", |t, _| t.shape = ptr::null_mut()),
        ("without strides", |t, _| t.strides = ptr::null_mut()),
        ("-1 axes", |t, _| t.ndim = -1),
        ("65 axes", |t, _| t.ndim = 65),
        ("negative length -2", |_, h| h.shape[1] = -2),
        ("code 2, 32 bits, 4 lanes", |t, _| t.dtype.lanes = 4),
        ("code 17, 4 bits, 1 lanes", |t, _| t.dtype = DlDataType { code: 17, bits: 4, lanes: 1 }),
        ("code 3, 32 bits", |t, _| t.dtype.code = 3),
        ("device (0, 0)", |t, _| t.device.kind = 0),
        ("device (2, -1)", |t, _| t.device = DlDevice { kind: CUDA, id: -1 }),
        ("", |_, h| h.shape[0] = i64::MAX),
        ("address space", |_, h| h.strides[0] = i64::MAX),
    ];
    for (text, damage) in damages {
        let mut header = Header { shape: vec![2, 3], strides: vec![3, 1], data: vec![0.0; 6] };
        let mut tensor = header.tensor();
        damage(&mut tensor, &mut header);
        let before = DELETED.get();
        // SAFETY: a live structure, which nothing but its header is read of.
        let refused = unsafe { from_managed_versioned(foreign(tensor, VERSION), lent()) };
        let error = refused.expect_err(text).to_string();
        assert!(error.contains(text), "{text:?} not in {error:?}");
        assert_eq!(DELETED.get(), before + 1, "{text}");
    }
    let mut header = Header { shape: vec![2, 3], strides: vec![3, 1], data: vec![0.0; 6] };
    let major = DlVersion { major: 2, minor: 0 };
    // SAFETY: a live structure, of which only the deleter is used.
    let refused = unsafe { from_managed_versioned(foreign(header.tensor(), major), lent()) };
    assert!(matches!(refused, Err(DlpackError::Version { major: 2 })));
}

#[test]
fn what_may_be_left_out_is_filled_in() {
    let mut header =
        Header { shape: vec![2, 3], strides: vec![], data: (0..7_u8).map(f32::from).collect() };
    let mut tensor = header.tensor();
    (tensor.strides, tensor.byte_offset) = (ptr::null_mut(), 4);
    let old = DlVersion { major: 1, minor: 1 };
    // SAFETY: a live structure over `header`, which outlives the tensor.
    let tensor = unsafe { from_managed_versioned(foreign(tensor, old), lent()) }.unwrap();
    assert_eq!(tensor.strides(), [12, 4]);
    assert_eq!(tensor.read::<f32>().unwrap()[[1, 2]], 6.0);
    drop(tensor);

    let mut empty = Header { shape: vec![0, 3], strides: vec![3, 1], data: vec![] };
    let mut tensor = empty.tensor();
    tensor.data = ptr::null_mut();
    // SAFETY: no elements, so nothing is read.
    let tensor = unsafe { from_managed_versioned(foreign(tensor, VERSION), lent()) }.unwrap();
    assert_eq!((tensor.shape(), tensor.len()), (&[0, 3][..], 0));

    let mut scalar = Header { shape: vec![], strides: vec![], data: vec![2.5] };
    let mut tensor = scalar.tensor();
    (tensor.shape, tensor.strides) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: one element, in `scalar`.
    let tensor = unsafe { from_managed_versioned(foreign(tensor, VERSION), lent()) }.unwrap();
    assert_eq!(tensor.item().unwrap().to_element::<f32>(), 2.5);
}

#[test]
fn devices_have_their_numbers() {
    use ndbridge_dlpack::{CUDA_HOST, HeaderAxes};
    use ndbridge_tensor::Device;

    let mut header = Header { shape: vec![2], strides: vec![1], data: vec![0.0; 2] };
    for (device, wanted) in [
        (DlDevice { kind: CPU, id: 0 }, Device::Cpu),
        (DlDevice { kind: CUDA_HOST, id: 0 }, Device::CudaHost),
        (DlDevice { kind: CUDA, id: 3 }, Device::Cuda(3)),
    ] {
        let tensor = DlTensor { device, ..header.tensor() };
        // SAFETY: nothing is read through a tensor on another device.
        let tensor = unsafe { from_managed_versioned(foreign(tensor, VERSION), lent()) }.unwrap();
        assert_eq!(tensor.device(), wanted);
        assert_eq!(HeaderAxes::of(&tensor).unwrap().header(&tensor).device, device);
    }
}

#[test]
fn dev_1_memory_of_devices_that_nobody_drives_is_passed_on_and_never_touched() {
    // Vulkan, Metal, ROCm, oneAPI, a kind that is too new to have a name.
    for (kind, id) in [(7, 0), (8, 0), (10, 1), (14, 0), (99, 3)] {
        let mut header = Header { shape: vec![2, 3], strides: vec![3, 1], data: vec![] };
        let device = DlDevice { kind, id };
        // An address that faults.
        let data = ptr::without_provenance_mut(1 << 62);
        let given = DlTensor { device, data, ..header.tensor() };
        let before = DELETED.get();
        // SAFETY: nothing is read through a tensor on another device.
        let tensor = unsafe { from_managed_versioned(foreign(given, VERSION), lent()) }.unwrap();
        let column = tensor.select(1, 2).unwrap();
        let name = tensor.device().to_string();
        for refused in [
            tensor.read::<f32>().map(drop),
            column.copy(CopyOrder::C).map(drop),
            column.cpu().map(drop),
            column.to_vec::<f32>().map(drop),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(&name) && error.contains("the library that made it"), "{error}");
        }
        let onward = Exported::new(&column).unwrap().into_versioned(false);
        drop((tensor, column));
        // SAFETY: a live structure, whose header is read.
        let out = unsafe { &(*onward).tensor };
        // What is on such a device may be a handle: it goes out as it came.
        let place = (out.data.addr(), out.byte_offset);
        assert_eq!((out.device, out.ndim, place), (device, 1, (data.addr(), 8)));
        assert_eq!(DELETED.get(), before, "{name} is still held");
        // SAFETY: taken over from here on.
        drop(unsafe { ManagedOwner::versioned(onward) }.unwrap());
        assert_eq!(DELETED.get(), before + 1, "{name}");
    }
}

#[test]
fn null_is_refused() {
    // SAFETY: null is what is asked about.
    assert!(matches!(unsafe { from_managed(ptr::null_mut(), lent()) }, Err(DlpackError::Null)));
}
