//! Whatever Python lends as an array, by the fastest way to its elements that tells the truth.
//!
//! ```text
//! numpy.ndarray                           its C structure
//! torch (any type that has it)            __dlpack_c_exchange_api__, the table cached per type
//! ndbridge, of another module             __ndbridge_exchange_api__, the same for our own alone
//! TensorFlow                              an array over its memory, else as JAX
//! JAX                                     buffer protocol, else __dlpack__
//! __dlpack__                              versioned if the producer can, else legacy
//! __array_interface__, buffers            by way of NumPy
//! ```

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use ndbridge_dlpack::{DlExchange, DlManagedVersioned, DlTensor, ManagedOwner, PlainHeader};
use ndbridge_dtype::Kind;
use ndbridge_interpreter::{
    PythonGate, PythonOwner, call, give_up_parked, intern, join_ledger, once::Once, raised,
    storage_of, to_py_err, type_name,
};
use ndbridge_numpy::python::{
    NdarrayError,
    api::NumpyApi,
    array,
    pins::{CallPin, Chain, Link, walk},
};
use ndbridge_storage::{Device, ForeignAccess, Mutability};
use ndbridge_tensor::{Outside, Tensor};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyType};

use crate::capsule;
use crate::device;
use crate::dictionary::entry;
use crate::error::ObjectError;
use crate::held_buffer::{HeldBuffer, memoryview_of};
use crate::producer::{Known, Producer, known};
use crate::torch::{self, TorchGate};

/// An array that a Python object lends.
pub(crate) struct Incoming<'py> {
    pub(crate) outside: Outside,
    pub(crate) producer: Producer,
    /// The object, or the NumPy array over its memory.
    pub(crate) object: Bound<'py, PyAny>,
    pub(crate) hold: Keeper<'py>,
}

/// What keeps the memory, besides a reference to the object.
pub(crate) enum Keeper<'py> {
    /// Nothing yet: the object is a NumPy array.
    Array,
    /// The storage of a torch tensor, which is not resized.
    Torch(Bound<'py, PyAny>),
    /// The same, and the structure that was made. Boxed: it is rare, and an argument is moved around.
    TorchManaged(Box<(Bound<'py, PyAny>, ManagedOwner)>),
    /// An array over the memory.
    Kept(Bound<'py, PyAny>),
    Buffer {
        _held: HeldBuffer<'py>,
    },
    Managed(ManagedOwner),
}

impl<'py> Incoming<'py> {
    /// The array that `object` lends.
    ///
    /// # Errors
    /// `TypeError` if it lends none, or one that cannot be carried; `BufferError` for memory that
    /// does not hold the object's values (torch's lazy bits).
    #[inline]
    pub(crate) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let found = Self::find(object)?;
        found.ok_or_else(|| ObjectError::NoProtocol { found: type_name(object) }.into())
    }

    /// As [`of`](Self::of); `None` if the object lends no array.
    #[inline]
    pub(crate) fn find(object: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        join_ledger(object.py())?;
        give_up_parked(object.py());
        let api = NumpyApi::get(object.py())?;
        if let Some(array) = api.array_of(object) {
            let outside = array::describe(api, object, &array)?;
            let (producer, object) = (Producer::NumPy, object.clone());
            return Ok(Some(Self { outside, producer, object, hold: Keeper::Array }));
        }
        Self::not_of_numpy(object, known(object)?)
    }

    fn not_of_numpy(object: &Bound<'py, PyAny>, known: Known) -> PyResult<Option<Self>> {
        match known {
            Known { producer: Producer::Jax, .. } => Self::jax(object).map(Some),
            Known { producer: Producer::TensorFlow, to_array, .. } => {
                Self::tensorflow(object, to_array)
            }
            Known { exchange: Some(table), .. } => Self::exchange(object, known, table).map(Some),
            Known { producer, .. } => Self::any(object, producer),
        }
    }

    fn exchange(
        object: &Bound<'py, PyAny>,
        known: Known,
        table: &'static DlExchange,
    ) -> PyResult<Self> {
        let producer = known.producer;
        let (outside, hold) = match producer {
            Producer::Torch => Self::torch(object, Some(table), known.has_no_flags)?,
            _ => Self::managed(object, table)?,
        };
        check_is_supported(&outside)?;
        device::after_current_stream(table, &outside)?;
        Ok(Self { outside, producer, object: object.clone(), hold })
    }

    fn managed(object: &Bound<'py, PyAny>, table: &DlExchange) -> PyResult<(Outside, Keeper<'py>)> {
        let managed = managed(object, Some(table))?;
        let outside = managed.describe().map_err(ObjectError::from)?;
        Ok((outside, Keeper::Managed(managed)))
    }

    /// A torch tensor, with its storage held where the memory is the host's.
    fn torch(
        object: &Bound<'py, PyAny>,
        table: Option<&DlExchange>,
        has_no_flags: bool,
    ) -> PyResult<(Outside, Keeper<'py>)> {
        torch::check_plain(object)?;
        let storage = torch::kept_storage(object);
        let found = Self::torch_elements(object, table, has_no_flags);
        // torch's own words come with a stack of its C++ calls.
        let in_our_words = |error| torch::in_our_words(object, error);
        let (outside, managed) = found.map_err(in_our_words)?;
        match managed {
            Some(managed) if !outside.device.is_host() => Ok((outside, Keeper::Managed(managed))),
            managed => {
                let storage = storage.map_err(in_our_words)?;
                torch::check_inside(&storage, &outside)?;
                let hold = match managed {
                    None => Keeper::Torch(storage),
                    Some(managed) => Keeper::TorchManaged(Box::new((storage, managed))),
                };
                Ok((outside, hold))
            }
        }
    }

    fn torch_elements(
        object: &Bound<'py, PyAny>,
        table: Option<&DlExchange>,
        has_no_flags: bool,
    ) -> PyResult<(Outside, Option<ManagedOwner>)> {
        if has_no_flags
            && let Some(table) = table
            && let Some(outside) = view(object, table)?
            && outside.device.is_host()
        {
            return Ok((outside, None));
        }
        let managed = managed(object, table)?;
        let outside = managed.describe().map_err(ObjectError::from)?;
        Ok((outside, Some(managed)))
    }

    /// JAX lends its buffers read-only, but not those of bfloat16 and float8.
    fn jax(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(buffer) = HeldBuffer::of(object) {
            return Self::buffer(object, Producer::Jax, buffer);
        }
        // Under way, maybe: who reads a capsule does not wait.
        if let Some(wait) = object.getattr_opt(intern!(object.py(), "block_until_ready"))? {
            wait.call0()?;
        }
        Self::dlpack(object, Producer::Jax)
    }

    /// TensorFlow's tensors give out arrays over their memory; those of no axes only buffers, and
    /// no memory at all if the buffer protocol and DLPack have no word for them: `None` then.
    fn tensorflow(
        object: &Bound<'py, PyAny>,
        to_array: Option<&Py<PyAny>>,
    ) -> PyResult<Option<Self>> {
        let array = to_array.and_then(|to_array| call(to_array, object).ok());
        if let Some(array) = array {
            let api = NumpyApi::get(object.py())?;
            // Of strings, there are arrays and buffers of objects.
            if api.is_plain(&array)
                && let Ok(incoming) = Self::immutable_array(object, api, array)
            {
                return Ok(Some(incoming));
            }
        }
        if let Ok(buffer) = HeldBuffer::of(object)
            && let Ok(incoming) = Self::buffer(object, Producer::TensorFlow, buffer)
        {
            return Ok(Some(incoming));
        }
        // Asked for a capsule of strings or handles, TensorFlow ends the process.
        let dtype: String = match object.getattr_opt(intern!(object.py(), "dtype"))? {
            Some(dtype) => dtype.getattr("name")?.extract()?,
            None => return Err(ObjectError::NoProtocol { found: type_name(object) }.into()),
        };
        if dtype.parse::<ndbridge_dtype::DType>().is_err() {
            return Err(ObjectError::TensorFlowDType { dtype }.into());
        }
        if !object.hasattr(intern!(object.py(), "__dlpack__"))? {
            return Err(ObjectError::NoProtocol { found: type_name(object) }.into());
        }
        if dtype.starts_with("float8") {
            return Ok(None);
        }
        Self::dlpack(object, Producer::TensorFlow).map(Some)
    }

    /// A tensor of TensorFlow's, by the array over its memory, which holds the tensor.
    fn immutable_array(
        object: &Bound<'py, PyAny>,
        api: &NumpyApi,
        array: Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let found = api.array_of(&array).ok_or_else(|| NdarrayError::not_an_array(&array))?;
        let mut outside = array::describe(api, &array, &found)?;
        outside.mutability = Mutability::ReadOnly;
        let (producer, object) = (Producer::TensorFlow, object.clone());
        Ok(Self { outside, producer, object, hold: Keeper::Kept(array) })
    }

    fn buffer(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        buffer: HeldBuffer<'py>,
    ) -> PyResult<Self> {
        let mut outside = buffer.describe()?;
        outside.mutability = Mutability::ReadOnly;
        Ok(Self {
            outside,
            producer,
            object: object.clone(),
            hold: Keeper::Buffer { _held: buffer },
        })
    }

    fn dlpack(object: &Bound<'py, PyAny>, producer: Producer) -> PyResult<Self> {
        Self::of_managed(object, producer, capsule::ask(object)?)
    }

    fn of_managed(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        managed: ManagedOwner,
    ) -> PyResult<Self> {
        let mut outside = managed.describe().map_err(ObjectError::from)?;
        check_is_supported(&outside)?;
        if producer.is_immutable() {
            outside.mutability = Mutability::ReadOnly;
        }
        Ok(Self { outside, producer, object: object.clone(), hold: Keeper::Managed(managed) })
    }

    /// Any object, by the protocols it has; one that fails leaves it to the next.
    fn any(object: &Bound<'py, PyAny>, producer: Producer) -> PyResult<Option<Self>> {
        let (py, mut failed) = (object.py(), None);
        if capsule::is_capsule(object) {
            let taken = Self::of_managed(object, producer, capsule::take(object)?)?;
            // Whoever asked for it named no stream: that means the default one.
            device::after_stream(taken.outside.device, None)?;
            return Ok(Some(taken));
        }
        if object.hasattr(intern!(py, "__dlpack__"))? {
            if producer == Producer::Torch {
                let (outside, hold) = Self::torch(object, None, false)?;
                check_is_supported(&outside)?;
                return Ok(Some(Self { outside, producer, object: object.clone(), hold }));
            }
            match Self::dlpack(object, producer) {
                Err(error) if producer == Producer::Other => failed = Some(error),
                found => return found.map(Some),
            }
        }
        if let Some(interface) = object.getattr_opt(intern!(py, "__cuda_array_interface__"))? {
            return Self::cuda_interface(object, producer, &interface).map(Some);
        }
        if is_scalar(object)? {
            return Ok(None);
        }
        if let Some(interface) = object.getattr_opt(intern!(py, "__array_interface__"))? {
            let incoming = Self::array_interface(object, &interface)?;
            return Ok(Some(Self { producer, ..incoming }));
        }
        if !has_buffer(object) {
            let Some(method) = object.getattr_opt(intern!(py, "__array__"))? else {
                return failed.map_or(Ok(None), Err);
            };
            return Self::array_method(&method, producer);
        }
        let view = memoryview_of(object)?;
        let array = numpy_asarray(view.as_any())?;
        let Some(incoming) = Self::find(&array)? else { return Ok(None) };
        incoming.outside.check().map_err(to_py_err)?;
        Ok(Some(Self { producer, ..incoming }))
    }

    /// What an object with only `__array__` gives without a copy; `None` if it would have to copy, or does
    /// not know that NumPy may ask for none.
    fn array_method(method: &Bound<'py, PyAny>, producer: Producer) -> PyResult<Option<Self>> {
        let py = method.py();
        let options = PyDict::new(py);
        options.set_item(intern!(py, "copy"), false)?;
        let array = match method.call((), Some(&options)) {
            Err(error)
                if error.is_instance_of::<PyValueError>(py)
                    || error.is_instance_of::<PyTypeError>(py) =>
            {
                return Ok(None);
            }
            array => array?,
        };
        if NumpyApi::get(py)?.array_of(&array).is_none() {
            return Ok(None);
        }
        Ok(Self::find(&array)?.map(|incoming| Self { producer, ..incoming }))
    }

    fn cuda_interface(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        interface: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        if !Device::Cuda(0).is_driven() {
            return Err(ObjectError::OnDevice { kind: ndbridge_dlpack::CUDA, id: 0 }.into());
        }
        let outside = super::cuda_interface::describe(interface)?;
        let object = object.clone();
        Ok(Self { outside, producer, hold: Keeper::Kept(object.clone()), object })
    }

    fn array_interface(
        object: &Bound<'py, PyAny>,
        interface: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        // What NumPy makes of it is checked: it believes every number, and overlooks a mask.
        if entry(interface, "mask")?.is_some() {
            return Err(ObjectError::InterfaceMask { found: type_name(object) }.into());
        }
        let incoming = Self::of(&numpy_asarray(object)?)?;
        let outside = &incoming.outside;
        outside.check().map_err(to_py_err)?;
        let Some((start, end)) = outside.addresses() else { return Ok(incoming) };
        let data = entry(interface, "data")?;
        let said = data.as_ref().and_then(|data| data.extract::<(usize, bool)>().ok());
        if let Some((said, _)) = said {
            if said != outside.ptr.addr() {
                return Err(ObjectError::HiddenCopy { found: type_name(object) }.into());
            }
            return Ok(incoming);
        }
        let buffer = HeldBuffer::of(data.as_ref().unwrap_or(object))?;
        let (buffer_start, buffer_end) = buffer.addresses();
        if start < buffer_start || end > buffer_end {
            let (found, buffer_bytes) = (type_name(object), buffer_end - buffer_start);
            return Err(ObjectError::OutsideBuffer { found, buffer_bytes }.into());
        }
        Ok(incoming)
    }

    /// Keeps the memory in its place for the time of a call.
    #[inline]
    pub(crate) fn pin(&self) -> PyResult<CallPin<'py>> {
        match self.hold {
            Keeper::Array => {
                let api = NumpyApi::get(self.object.py())?;
                match api.array_of(&self.object) {
                    Some(array) => CallPin::array(api, &self.object, &array),
                    None => Ok(CallPin::None),
                }
            }
            _ => Ok(CallPin::None),
        }
    }

    /// Whether a NumPy array, which other code may have changed until it was pinned, still is what
    /// was seen.
    pub(crate) fn is_unchanged(&self) -> PyResult<bool> {
        if !matches!(self.hold, Keeper::Array) {
            return Ok(true);
        }
        let (now, seen) = (array::describe_again(&self.object)?, &self.outside);
        let is_same = now.shape == seen.shape && now.strides == seen.strides;
        let means_the_same = now.dtype == seen.dtype && now.byte_order == seen.byte_order;
        Ok(is_same && means_the_same && now.ptr == seen.ptr && now.mutability == seen.mutability)
    }

    /// A tensor that shares the memory, for as long as it lives; memory that went out from here
    /// becomes a view of its own storage again.
    #[inline]
    pub(crate) fn into_tensor(self) -> PyResult<Tensor> {
        let Self { mut outside, producer, object, hold } = self;
        if let Keeper::Managed(managed) = &hold
            && let Some(own) = managed.own_view(&outside).map_err(to_py_err)?
        {
            device::came_back(own.storage())?;
            return Ok(own);
        }
        let lent = || ForeignAccess::Lent(PythonGate::shared());
        // NumPy's own memory leads nowhere else.
        let may_be_ours = !matches!(hold, Keeper::Array) || leads_elsewhere(&object)?;
        if may_be_ours && let Some(known) = storage_of(&outside) {
            device::came_back(&known)?;
            return outside.view_of(&known).map_err(to_py_err);
        }
        if may_be_ours && outside.is_empty() {
            // SAFETY: no bytes, so nothing that anybody could keep.
            return unsafe { outside.into_tensor("nothing", (), lent()) }.map_err(to_py_err);
        }
        let (pins, managed, access) = match hold {
            Keeper::Array => {
                let chain = Chain::of(&object)?;
                // Whatever ran before it was pinned: from now on it stays as it is.
                outside = array::describe_again(&object)?;
                let access = chain.access();
                (chain.pins, None, access)
            }
            Keeper::Torch(storage) => {
                let managed = managed(&object, known(&object)?.exchange)?;
                outside = managed.describe().map_err(ObjectError::from)?;
                torch::check_inside(&storage, &outside)?;
                let gate = TorchGate::of(storage)?;
                (Vec::new(), Some(managed), ForeignAccess::Lent(Arc::new(gate)))
            }
            Keeper::TorchManaged(made) => {
                let (storage, managed) = *made;
                let gate = TorchGate::of(storage)?;
                (Vec::new(), Some(managed), ForeignAccess::Lent(Arc::new(gate)))
            }
            Keeper::Buffer { .. } => {
                let export = PyMemoryView::from(&object)?.into_any().unbind();
                (vec![export], None, lent())
            }
            Keeper::Kept(array) => {
                let is_array = outside.device.is_host();
                let mut pins = if is_array { Chain::of(&array)?.pins } else { Vec::new() };
                pins.push(array.unbind());
                (pins, None, lent())
            }
            Keeper::Managed(managed) => (Vec::new(), Some(managed), lent()),
        };
        let name = match producer {
            Producer::NumPy => "numpy.ndarray",
            Producer::Torch => "torch.Tensor",
            Producer::Jax => "jax.Array",
            Producer::TensorFlow => "tensorflow.Tensor",
            Producer::Ndbridge => "ndbridge.Tensor",
            Producer::Other => "foreign array",
        };
        let managed = managed.map(|managed| Box::new(managed) as Box<dyn Send + Sync>);
        let owner = PythonOwner::new(object.unbind(), pins, managed);
        // SAFETY: the producer's own description of a live array, whose memory stays where it is
        // while the owner holds the object and what pins it; Python writes only when some thread is
        // attached, which the gate (or immutable bytes) accounts for.
        unsafe { outside.into_tensor(name, owner, access) }.map_err(to_py_err)
    }
}

/// Whether the memory of an array is not NumPy's own, nor that of another array of its.
fn leads_elsewhere(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let mut leads = false;
    walk(array, |link| {
        leads |= matches!(link, Link::End(_));
        Ok(())
    })?;
    Ok(leads)
}

/// What a short look at an object shows.
pub(crate) enum Glance<'py> {
    /// A torch tensor and its storage; the header is good until Python code runs.
    Header(PlainHeader, Bound<'py, PyAny>),
    /// The array of an immutable tensor.
    Immutable(Bound<'py, PyAny>),
}

/// A short look at an object that is no NumPy array; `None` if it is of another kind, or not plain.
#[inline(always)]
pub(crate) fn look<'py>(object: &Bound<'py, PyAny>) -> Option<Glance<'py>> {
    let known = known(object).ok()?;
    if let Some(to_array) = known.to_array {
        return call(to_array, object).ok().map(Glance::Immutable);
    }
    let table = known.exchange.filter(|_| known.has_no_flags)?;
    torch::check_real(object).ok()?;
    let storage = torch::kept_storage(object).ok()?;
    // SAFETY: whatever ran until the storage was held, no Python code runs between the header and its
    // last use.
    let plain = unsafe { PlainHeader::of(header(object, table).ok()??)? };
    let is_kept = torch::is_storage_of(&storage, object);
    // Complex tensors may be conjugates.
    (is_kept && plain.dtype().kind() != Kind::Complex).then_some(Glance::Header(plain, storage))
}

/// What the table's function says of the object's elements, without keeping them. `None` if the
/// table has no such function.
#[inline]
fn header(object: &Bound<'_, PyAny>, table: &DlExchange) -> PyResult<Option<DlTensor>> {
    let Some(view) = table.view_object else { return Ok(None) };
    // Zeros, which say that there is no data type, should the function fill in nothing.
    let mut header = MaybeUninit::<DlTensor>::zeroed();
    // SAFETY: an object of the type whose table this is, and room for a header; attached.
    if unsafe { view(object.as_ptr().cast(), header.as_mut_ptr()) } != 0 {
        return Err(raised(object.py(), "dltensor_from_py_object_no_sync"));
    }
    // SAFETY: zeros are a header, and so is what the function put there.
    Ok(Some(unsafe { header.assume_init() }))
}

fn view(object: &Bound<'_, PyAny>, table: &DlExchange) -> PyResult<Option<Outside>> {
    let Some(header) = header(object, table)? else { return Ok(None) };
    let version = Some(table.header.version);
    // SAFETY: no Python code ran since the table's function filled the header in.
    let outside = unsafe { ndbridge_dlpack::describe(&header, version, Mutability::Writable) };
    Ok(Some(outside.map_err(ObjectError::from)?))
}

/// The object's elements, to be kept.
fn managed(object: &Bound<'_, PyAny>, table: Option<&DlExchange>) -> PyResult<ManagedOwner> {
    let from_object = table.and_then(|table| table.from_object);
    let Some(from_object) = from_object else { return capsule::ask(object) };
    let mut managed: *mut DlManagedVersioned = ptr::null_mut();
    // SAFETY: an object of the type whose table this is, and a place for the result; attached.
    if unsafe { from_object(object.as_ptr().cast(), &mut managed) } != 0 {
        return Err(raised(object.py(), "managed_tensor_from_py_object_no_sync"));
    }
    // SAFETY: null, or a new structure, which is ours to delete.
    let managed = unsafe { ManagedOwner::versioned(managed) };
    // A function that says it did not fail, and raised all the same.
    match PyErr::take(object.py()) {
        Some(error) => Err(error),
        None => Ok(managed.map_err(ObjectError::from)?),
    }
}

/// Refuses memory that host code must not touch.
///
/// # Errors
/// `TypeError`.
pub(crate) fn check_is_host(outside: &Outside) -> PyResult<()> {
    if outside.device.is_host() { Ok(()) } else { Err(on_device(outside)) }
}

/// Refuses memory of devices that nothing here drives, or for which there is no driver.
fn check_is_supported(outside: &Outside) -> PyResult<()> {
    let is_host = outside.device.is_host();
    if is_host || outside.device.is_driven() { Ok(()) } else { Err(on_device(outside)) }
}

fn on_device(outside: &Outside) -> PyErr {
    match ndbridge_dlpack::device_of(outside.device) {
        Ok(device) => ObjectError::OnDevice { kind: device.kind, id: device.id }.into(),
        Err(error) => ObjectError::from(error).into(),
    }
}

fn numpy_asarray<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (object,))
}

fn has_buffer(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) != 0 }
}

/// Whether `object` is a NumPy scalar, which has a buffer but is a number.
fn is_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static SCALAR: Once<Py<PyType>> = Once::new();
    object.is_instance(SCALAR.import(object.py(), "numpy", "generic")?)
}

/// `from_dlpack` of an object, or of a capsule.
///
/// # Errors
/// As [`Incoming::of`]; `BufferError` for an object that does not speak DLPack.
pub(crate) fn by_dlpack<'py>(object: &Bound<'py, PyAny>) -> PyResult<Incoming<'py>> {
    let py = object.py();
    let speaks = capsule::is_capsule(object) || object.hasattr(intern!(py, "__dlpack__"))?;
    if !speaks {
        let found = type_name(object);
        let text = format!("{found} has no __dlpack__: call asarray() or tensor()");
        return Err(PyBufferError::new_err(text));
    }
    let of_numpy = NumpyApi::get(py)?.array_of(object).is_some();
    if of_numpy || capsule::is_capsule(object) {
        return Incoming::of(object);
    }
    match known(object)? {
        // Without a word of its other protocols.
        Known { producer: Producer::Other, exchange: None, .. } => {
            join_ledger(py)?;
            Incoming::dlpack(object, Producer::Other)
        }
        _ => Incoming::of(object),
    }
}
