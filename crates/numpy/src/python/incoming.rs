//! Whatever Python lends as an array, by the fastest way to its elements that tells the truth.
//!
//! ```text
//! numpy.ndarray                           its C structure
//! torch, ndbridge (any type that has it)  __dlpack_c_exchange_api__, the table cached per type
//! JAX, TensorFlow                         buffer protocol, else __dlpack__
//! __dlpack__                              versioned if the producer can, else legacy
//! __array_interface__, buffers            by way of NumPy
//! ```

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use ndbridge_storage::{ForeignAccess, Mutability, Storage};
use ndbridge_tensor::Tensor;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use pyo3::{ffi, intern};

use super::api::NumpyApi;
use super::array;
use super::capsule;
use super::error::{ArrayError, to_py_err, type_name};
use super::gate::PythonGate;
use super::held_buffer::HeldBuffer;
use super::owner::PythonOwner;
use super::pins::{CallPin, Chain};
use super::producer::{Known, Producer, known};
use super::torch;
use crate::described::Described;
use crate::dlpack::{self, DlExchange, DlManagedVersioned, DlTensor, ManagedOwner};

/// An array that a Python object lends.
pub(super) struct Incoming<'py> {
    pub(super) described: Described,
    pub(super) producer: Producer,
    /// The object, or the NumPy array over its memory.
    pub(super) object: Bound<'py, PyAny>,
    hold: Hold<'py>,
}

/// What keeps the memory, besides a reference to the object.
enum Hold<'py> {
    /// Nothing yet: the object is a NumPy array.
    Array,
    /// Nothing yet: the object's elements were looked at through this table.
    Looked(&'static DlExchange),
    Buffer(HeldBuffer<'py>),
    Managed(ManagedOwner),
}

impl<'py> Incoming<'py> {
    /// The array that `object` lends.
    ///
    /// # Errors
    /// `TypeError` if it lends none, or one that cannot be carried; `BufferError` for memory that
    /// does not hold the object's values (torch's lazy bits).
    #[inline]
    pub(super) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let found = Self::find(object)?;
        found.ok_or_else(|| ArrayError::NoProtocol { found: type_name(object) }.into())
    }

    /// As [`of`](Self::of); `None` if the object lends no array.
    #[inline]
    pub(super) fn find(object: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let api = NumpyApi::get(object.py())?;
        if let Some(array) = api.array_of(object) {
            let described = array::describe(api, object, array)?;
            let (producer, object) = (Producer::NumPy, object.clone());
            return Ok(Some(Self { described, producer, object, hold: Hold::Array }));
        }
        Self::not_of_numpy(object, known(object)?)
    }

    fn not_of_numpy(object: &Bound<'py, PyAny>, known: Known) -> PyResult<Option<Self>> {
        match known {
            Known { producer: Producer::Jax, .. } => Self::jax(object).map(Some),
            Known { producer: Producer::TensorFlow, .. } => Self::tensorflow(object).map(Some),
            Known { producer, exchange: Some(table) } => {
                Self::exchange(object, producer, table).map(Some)
            }
            Known { producer, .. } => Self::any(object, producer),
        }
    }

    fn exchange(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        table: &'static DlExchange,
    ) -> PyResult<Self> {
        // A view has no flags. torch has no read-only tensors; others may.
        let viewed = match producer {
            Producer::Torch => view(object, table)?,
            _ => None,
        };
        let (described, hold) = match viewed {
            Some(described) => (described, Hold::Looked(table)),
            None => {
                let managed = managed(object, table)?;
                (managed.describe().map_err(ArrayError::from)?, Hold::Managed(managed))
            }
        };
        if producer == Producer::Torch {
            torch::check_plain(object, described.dtype)?;
        }
        check_is_host(&described)?;
        Ok(Self { described, producer, object: object.clone(), hold })
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

    fn tensorflow(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(buffer) = HeldBuffer::of(object) {
            return Self::buffer(object, Producer::TensorFlow, buffer);
        }
        // Asked for a capsule of strings or handles, TensorFlow ends the process.
        let dtype: String = match object.getattr_opt(intern!(object.py(), "dtype"))? {
            Some(dtype) => dtype.getattr("name")?.extract()?,
            None => return Err(ArrayError::NoProtocol { found: type_name(object) }.into()),
        };
        if dtype.parse::<ndbridge_dtype::DType>().is_err() {
            return Err(ArrayError::TensorFlowDType { dtype }.into());
        }
        if !object.hasattr(intern!(object.py(), "__dlpack__"))? {
            return Err(ArrayError::NoProtocol { found: type_name(object) }.into());
        }
        Self::dlpack(object, Producer::TensorFlow)
    }

    fn buffer(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        buffer: HeldBuffer<'py>,
    ) -> PyResult<Self> {
        let mut described = buffer.describe()?;
        described.mutability = Mutability::ReadOnly;
        Ok(Self { described, producer, object: object.clone(), hold: Hold::Buffer(buffer) })
    }

    fn dlpack(object: &Bound<'py, PyAny>, producer: Producer) -> PyResult<Self> {
        Self::of_managed(object, producer, capsule::ask(object)?)
    }

    fn of_managed(
        object: &Bound<'py, PyAny>,
        producer: Producer,
        managed: ManagedOwner,
    ) -> PyResult<Self> {
        let mut described = managed.describe().map_err(ArrayError::from)?;
        check_is_host(&described)?;
        if producer.is_immutable() {
            described.mutability = Mutability::ReadOnly;
        }
        Ok(Self { described, producer, object: object.clone(), hold: Hold::Managed(managed) })
    }

    /// Any object, by the protocols it has.
    fn any(object: &Bound<'py, PyAny>, producer: Producer) -> PyResult<Option<Self>> {
        let py = object.py();
        if capsule::is_capsule(object) {
            return Self::of_managed(object, producer, capsule::take(object)?).map(Some);
        }
        if object.hasattr(intern!(py, "__dlpack__"))? {
            let incoming = Self::dlpack(object, producer)?;
            if producer == Producer::Torch {
                torch::check_plain(object, incoming.described.dtype)?;
            }
            return Ok(Some(incoming));
        }
        if object.hasattr(intern!(py, "__cuda_array_interface__"))? {
            return Err(ArrayError::OnDevice { kind: dlpack::CUDA, id: 0 }.into());
        }
        if let Some(interface) = object.getattr_opt(intern!(py, "__array_interface__"))? {
            return Self::array_interface(object, &interface).map(Some);
        }
        if is_scalar(object)? || !has_buffer(object) {
            return Ok(None);
        }
        let view = PyMemoryView::from(object)?;
        let array =
            py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (view,))?;
        Self::find(&array)
    }

    fn array_interface(
        object: &Bound<'py, PyAny>,
        interface: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let py = object.py();
        let array =
            py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (object,))?;
        let incoming = Self::of(&array)?;
        let said: Option<(usize, bool)> = match interface.get_item("data") {
            Ok(data) => data.extract().ok(),
            Err(_) => None,
        };
        let address = incoming.described.ptr.addr();
        if !incoming.described.is_empty() && said.is_some_and(|(said, _)| said != address) {
            return Err(ArrayError::HiddenCopy { found: type_name(object) }.into());
        }
        Ok(incoming)
    }

    /// Keeps the memory in its place for the time of a call.
    #[inline]
    pub(super) fn pin(&self) -> PyResult<CallPin<'py>> {
        match self.hold {
            Hold::Array => CallPin::array(NumpyApi::get(self.object.py())?, &self.object),
            _ => Ok(CallPin::None),
        }
    }

    /// A tensor that shares the memory, for as long as it lives. Memory at the end of which stands
    /// an object that `storage_of` knows becomes a view of that storage.
    pub(super) fn into_tensor(
        self,
        storage_of: fn(&Bound<'_, PyAny>) -> Option<Storage>,
    ) -> PyResult<Tensor> {
        let Self { described, producer, object, hold } = self;
        let lent = || ForeignAccess::Lent(Arc::new(PythonGate));
        let (pins, managed, access) = match hold {
            Hold::Array => {
                let chain = Chain::of(&object)?;
                if let Some(storage) = chain.end.as_ref().and_then(storage_of) {
                    return view_of(&described, &storage);
                }
                let access = chain.access();
                (chain.pins, None, access)
            }
            Hold::Looked(table) => {
                torch::pin_storage(&object)?;
                (Vec::new(), Some(managed(&object, table)?), lent())
            }
            Hold::Buffer(_) => {
                let export = PyMemoryView::from(&object)?.into_any().unbind();
                (vec![export], None, lent())
            }
            Hold::Managed(managed) => (Vec::new(), Some(managed), lent()),
        };
        let name = match producer {
            Producer::NumPy => "numpy.ndarray",
            Producer::Torch => "torch.Tensor",
            Producer::Jax => "jax.Array",
            Producer::TensorFlow => "tensorflow.Tensor",
            Producer::Ndbridge => "ndbridge.Tensor",
            Producer::Other => "foreign array",
        };
        let owner = PythonOwner::new(object.unbind(), pins, managed);
        // SAFETY: the producer's own description of a live array, whose memory stays where it is
        // while the owner holds the object and what pins it; Python writes only when some thread is
        // attached, which the gate (or immutable bytes) accounts for.
        unsafe { described.into_tensor(name, owner, access) }.map_err(to_py_err)
    }
}

fn view_of(described: &Described, storage: &Storage) -> PyResult<Tensor> {
    let tensor = described.view_of(storage).map_err(to_py_err)?;
    let is_writable = described.mutability == Mutability::Writable;
    Ok(if is_writable { tensor } else { tensor.into_read_only() })
}

/// What the table's function says of the object's elements, without keeping them. `None` if the
/// table has no such function, or the object is not one for it.
fn view(object: &Bound<'_, PyAny>, table: &DlExchange) -> PyResult<Option<Described>> {
    let Some(view) = table.view_object else { return Ok(None) };
    let mut header = MaybeUninit::<DlTensor>::uninit();
    // SAFETY: an object of the type whose table this is, and room for a header; attached.
    if unsafe { view(object.as_ptr().cast(), header.as_mut_ptr()) } != 0 {
        return Err(PyErr::fetch(object.py()));
    }
    // SAFETY: filled, since the function did not fail.
    let header = unsafe { header.assume_init() };
    let version = Some(table.header.version);
    let described = dlpack::describe(&header, version, Mutability::Writable);
    Ok(Some(described.map_err(ArrayError::from)?))
}

/// The object's elements, to be kept.
fn managed(object: &Bound<'_, PyAny>, table: &DlExchange) -> PyResult<ManagedOwner> {
    let Some(from_object) = table.from_object else { return capsule::ask(object) };
    let mut managed: *mut DlManagedVersioned = ptr::null_mut();
    // SAFETY: an object of the type whose table this is, and a place for the result; attached.
    if unsafe { from_object(object.as_ptr().cast(), &mut managed) } != 0 {
        return Err(PyErr::fetch(object.py()));
    }
    // SAFETY: a new structure, which is ours to delete.
    Ok(unsafe { ManagedOwner::versioned(managed) }.map_err(ArrayError::from)?)
}

fn check_is_host(described: &Described) -> PyResult<()> {
    if described.device.is_host() {
        return Ok(());
    }
    let device = dlpack::device_of(described.device).map_err(ArrayError::from)?;
    Err(ArrayError::OnDevice { kind: device.kind, id: device.id }.into())
}

fn has_buffer(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) != 0 }
}

/// Whether `object` is a NumPy scalar, which has a buffer but is a number.
fn is_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.is_instance(&object.py().import("numpy")?.getattr("generic")?)
}

/// `from_dlpack` of an object, or of a capsule.
///
/// # Errors
/// As [`Incoming::of`]; `BufferError` for an object that does not speak DLPack.
pub(super) fn by_dlpack<'py>(object: &Bound<'py, PyAny>) -> PyResult<Incoming<'py>> {
    let py = object.py();
    let speaks = capsule::is_capsule(object) || object.hasattr(intern!(py, "__dlpack__"))?;
    if !speaks {
        let found = type_name(object);
        let text = format!("{found} has no __dlpack__: call asarray() or tensor()");
        return Err(PyBufferError::new_err(text));
    }
    Incoming::of(object)
}

/// A tensor that shares the memory of any array that Python has: NumPy's, torch's, TensorFlow's,
/// JAX's, or that of any object with `__dlpack__`, `__array_interface__` or a buffer.
///
/// The memory is kept, and kept in its place, as long as any handle to it lives.
///
/// # Errors
/// `TypeError` for anything else and for data types that cannot be carried; `BufferError` for torch
/// tensors with lazy bits or gradients; `ValueError` for arrays in the other byte order.
pub fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    super::Importer::default().from_python(object)
}
