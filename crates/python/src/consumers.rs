//! Tensors out, to libraries other than NumPy: shared, or refused with the call that works.

use std::ffi::c_void;
use std::ptr;

use ndbridge_dlpack::DlExchange;
use ndbridge_dtype::DType;
use ndbridge_interpreter::{check_host, intern, once::Once, to_py_err};
use ndbridge_storage::Device;
use ndbridge_tensor::{Order, Tensor};
use pyo3::prelude::*;

use crate::capsule::{self, DlpackForm};
use crate::device;
use crate::error::ObjectError;
use crate::producer::known_type;

/// What XLA and Eigen ask of an address before they share it.
const ALIGN_BYTES: usize = 64;

/// The tensor as a torch tensor that shares its memory.
///
/// Memory on a CUDA device is shared as well; torch's current stream waits for what the elements
/// depend on.
///
/// # Errors
/// `BufferError` for what torch has no word for: read-only memory, axes walked backwards, strides
/// or an address that are no multiple of the item's size; and while a guard of the memory is alive.
pub fn to_torch<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    if tensor.is_read_only() {
        return refuse("torch", "has no read-only tensors", "call clone().torch() (copies)");
    }
    if walks(tensor).any(|(len, stride)| len > 1 && stride < 0) {
        return refuse("torch", "has no negative strides", "call contiguous().torch() (copies)");
    }
    check_items("torch", tensor, "call clone().torch() (copies)")?;
    let table = torch_table(py)?;
    let Some(to_object) = table.and_then(|table| table.to_object) else {
        let module = py.import(intern!(py, "torch"))?;
        let holder = Bound::new(py, Holder { tensor: tensor.clone(), reads_only: false })?;
        return module.call_method1(intern!(py, "from_dlpack"), (holder,));
    };
    device::hand_over_to(table, tensor)?;
    let managed = capsule::lent(py, tensor)?.as_host().into_versioned(false);
    let mut object: *mut c_void = ptr::null_mut();
    // SAFETY: torch's own function, which takes over the new structure; attached.
    let failed = unsafe { to_object(managed, &mut object) } != 0;
    if failed {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference, since the function did not fail.
    unsafe { Bound::from_owned_ptr_or_err(py, object.cast()) }
}

/// The table of functions of torch's tensor type.
fn torch_table(py: Python<'_>) -> PyResult<Option<&'static DlExchange>> {
    static TABLE: Once<Option<&'static DlExchange>> = Once::new();
    let found = TABLE.get_or_try_init(py, || {
        let kind = py.import("torch")?.getattr("Tensor")?.cast_into()?;
        Ok::<_, PyErr>(known_type(&kind)?.exchange)
    });
    found.copied()
}

/// The handle of torch's current stream of this thread, if torch was imported: nothing waits for a device while
/// that is captured.
pub(crate) fn torchs_stream(device: Device) -> Option<usize> {
    let ask = |py: Python<'_>| {
        let modules = py.import(intern!(py, "sys")).ok()?.getattr(intern!(py, "modules")).ok()?;
        modules.contains(intern!(py, "torch")).ok()?.then_some(())?;
        let handle = device::their_stream(torch_table(py).ok()??, device).ok()?;
        usize::try_from(handle?).ok()
    };
    Python::try_attach(ask)?
}

/// The tensor as an eager TensorFlow tensor that shares its memory.
///
/// # Errors
/// `BufferError` for what TensorFlow cannot hold or would end the process over: elements that are
/// not contiguous in C order, memory that is not 64-byte aligned, float8.
pub fn to_tensorflow<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    check_host(tensor)?;
    if matches!(tensor.dtype(), DType::F8E4M3 | DType::F8E5M2) {
        let remedy = "call astype('float32').tensorflow() or view('uint8').tensorflow()";
        return refuse("TensorFlow", "takes no float8 from DLPack", remedy);
    }
    if !tensor.is_contiguous(Order::C) {
        let remedy = "call contiguous().tensorflow() (copies)";
        return refuse("TensorFlow", "holds elements in C order only", remedy);
    }
    check_aligned("TensorFlow", tensor, ALIGN_BYTES, "call clone().tensorflow() (copies)")?;
    // With the usual strides: TensorFlow looks at those of axes of one element, too.
    let capsule = capsule::to_reader(py, &with_usual_strides(tensor)?)?;
    let module = py.import(intern!(py, "tensorflow"))?;
    let module = module.getattr(intern!(py, "experimental"))?.getattr(intern!(py, "dlpack"))?;
    module.call_method1(intern!(py, "from_dlpack"), (capsule,))
}

/// The tensor as a JAX array that shares its memory, also if that is on a CUDA device.
///
/// # Errors
/// `BufferError` for what JAX would copy or narrow without a word: memory that is not 64-byte
/// aligned, layouts with gaps, repeats or reversed axes, 64-bit elements unless `jax_enable_x64`
/// is on.
pub fn to_jax<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let jax = py.import(intern!(py, "jax"))?;
    if is_wide(tensor.dtype()) && !x64_is_on(&jax)? {
        let reason = format!("would narrow {}", tensor.dtype());
        return refuse("JAX", &reason, narrowing_call(tensor.dtype()));
    }
    if !is_compact(tensor) {
        let remedy = "call contiguous().jax() (copies)";
        return refuse("JAX", "holds elements without gaps, repeats or reversed axes only", remedy);
    }
    check_aligned("JAX", tensor, ALIGN_BYTES, "call clone().jax() (copies)")?;
    let tensor = with_usual_strides(tensor)?;
    let module = py.import(intern!(py, "jax.dlpack"))?;
    let holder = Holder { tensor: tensor.clone(), reads_only: true };
    let array = module.call_method1(intern!(py, "from_dlpack"), (Bound::new(py, holder)?,))?;
    let address: usize = array.call_method0(intern!(py, "unsafe_buffer_pointer"))?.extract()?;
    if !tensor.is_empty() && address != tensor.as_ptr().addr() {
        return refuse("JAX", "made a copy where it can share", "call clone().jax() (copies)");
    }
    Ok(array)
}

/// What consumers take a capsule from, with the stream that they will use the memory on.
#[pyclass(frozen, module = "ndbridge")]
struct Holder {
    tensor: Tensor,
    /// The consumer never writes, so that a capsule that cannot forbid it will do.
    reads_only: bool,
}

#[pymethods]
impl Holder {
    #[pyo3(signature = (*, stream=None, max_version=None, **_options))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<i64>,
        max_version: Option<(u32, u32)>,
        _options: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.reads_only {
            device::hand_over(&self.tensor, stream)?;
            return capsule::to_reader(py, &self.tensor);
        }
        let form = DlpackForm { max_version, is_copied: false, as_host: true };
        capsule::to_dlpack_on(py, &self.tensor, stream, form)
    }

    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        // Consumers of pinned memory ask for the host's, and have no name for it.
        let device = self.tensor.device();
        let device = if device.is_host() { Device::Cpu } else { device };
        let device = ndbridge_dlpack::device_of(device).map_err(ObjectError::from)?;
        Ok((device.kind, device.id))
    }
}

/// The tensor as a CuPy array that shares its memory.
///
/// # Errors
/// `BufferError` for host memory, which CuPy does not hold, and for what it has no word for:
/// read-only memory, bfloat16 and float8, strides that are no multiple of the item's size.
pub fn to_cupy<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    if tensor.device().is_host() {
        let reason = format!("holds CUDA memory only, the tensor is on {}", tensor.device());
        return refuse("CuPy", &reason, "call cupy.asarray(t.numpy()) (copies to the device)");
    }
    if matches!(tensor.dtype(), DType::BF16 | DType::F8E4M3 | DType::F8E5M2) {
        let reason = format!("has no {}", tensor.dtype());
        return refuse("CuPy", &reason, "call astype('float32').cupy() (copies)");
    }
    if tensor.is_read_only() {
        return refuse("CuPy", "has no read-only arrays", "call clone().cupy() (copies)");
    }
    check_items("CuPy", tensor, "call clone().cupy() (copies)")?;
    let module = py.import(intern!(py, "cupy"))?;
    let holder = Bound::new(py, Holder { tensor: tensor.clone(), reads_only: false })?;
    module.call_method1(intern!(py, "from_dlpack"), (holder,))
}

fn refuse<T>(consumer: &'static str, reason: &str, remedy: &'static str) -> PyResult<T> {
    let reason = reason.to_owned();
    Err(ObjectError::Consumer { consumer, reason, remedy }.into())
}

fn check_whole_steps(consumer: &'static str, tensor: &Tensor) -> PyResult<()> {
    let item_bytes = tensor.dtype().item_bytes();
    let is_odd = |(len, stride): (usize, isize)| {
        len > 1 && !stride.unsigned_abs().is_multiple_of(item_bytes)
    };
    if !tensor.is_empty() && walks(tensor).any(is_odd) {
        let remedy = "call contiguous() first (copies)";
        let reason = "has no strides other than multiples of the item's size";
        return refuse(consumer, reason, remedy);
    }
    Ok(())
}

/// Kernels take aligned loads for granted: where they are not, a process ends on the host, and every later
/// call fails on a device.
pub(crate) fn check_items(
    consumer: &'static str,
    tensor: &Tensor,
    remedy: &'static str,
) -> PyResult<()> {
    check_whole_steps(consumer, tensor)?;
    check_aligned(consumer, tensor, tensor.dtype().item_bytes(), remedy)
}

fn check_aligned(
    consumer: &'static str,
    tensor: &Tensor,
    align_bytes: usize,
    remedy: &'static str,
) -> PyResult<()> {
    let address = tensor.as_ptr().addr();
    if tensor.is_empty() || address.is_multiple_of(align_bytes) {
        return Ok(());
    }
    let reason = format!("needs {align_bytes}-byte aligned memory, {address:#x} is not");
    refuse(consumer, &reason, remedy)
}

fn walks(tensor: &Tensor) -> impl Iterator<Item = (usize, isize)> {
    tensor.shape().iter().copied().zip(tensor.strides().iter().copied())
}

/// Whether the elements fill one block, in whatever order of axes, none of which runs backwards.
fn is_compact(tensor: &Tensor) -> bool {
    let is_upward = walks(tensor).all(|(len, stride)| len <= 1 || stride > 0);
    tensor.is_empty() || is_upward && tensor.layout().is_block(tensor.dtype().item_bytes())
}

/// The same elements with the strides that contiguous ones have, also on axes of one element.
fn with_usual_strides(tensor: &Tensor) -> PyResult<Tensor> {
    let is_plain = tensor.is_contiguous(Order::C);
    if !is_plain || tensor.is_empty() {
        return Ok(tensor.clone());
    }
    let lens: Vec<isize> = tensor.shape().iter().map(|&len| len as isize).collect();
    let flat = tensor.reshape(&[-1]).map_err(to_py_err)?;
    flat.reshape(&lens).map_err(to_py_err)
}

/// What to do where JAX would narrow.
const fn narrowing_call(dtype: DType) -> &'static str {
    match dtype {
        DType::I64 => "call astype('int32').jax() (copies), or set jax_enable_x64",
        DType::U64 => "call astype('uint32').jax() (copies), or set jax_enable_x64",
        DType::C128 => "call astype('complex64').jax() (copies), or set jax_enable_x64",
        _ => "call astype('float32').jax() (copies), or set jax_enable_x64",
    }
}

const fn is_wide(dtype: DType) -> bool {
    matches!(dtype, DType::I64 | DType::U64 | DType::F64 | DType::C128)
}

fn x64_is_on(jax: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = jax.py();
    jax.getattr(intern!(py, "config"))?.getattr(intern!(py, "jax_enable_x64"))?.extract()
}
