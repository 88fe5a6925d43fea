//! Return values of Python functions: tensors on their way to a library.
//!
//! ```no_run
//! use ndbridge_python::ToNumpy;
//! use ndbridge_tensor::Tensor;
//! use pyo3::prelude::*;
//!
//! #[pyfunction]
//! fn ramp(len: usize) -> ToNumpy {
//!     ToNumpy(Tensor::from_vec((0..len).map(|i| i as f64).collect()))
//! }
//! ```

use ndbridge_numpy::python::to_numpy;
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

use crate::capsule;
use crate::consumers::{to_jax, to_tensorflow, to_torch};

macro_rules! returned {
    ($($(#[$doc:meta])* $name:ident by $convert:path;)*) => {$(
        $(#[$doc])*
        ///
        /// The object shares the tensor's memory, which is freed once, when the last of all that
        /// share it is gone. What the library cannot hold is raised as an exception.
        #[derive(Clone, Debug)]
        pub struct $name(pub Tensor);

        impl<'py> IntoPyObject<'py> for $name {
            type Target = PyAny;
            type Output = Bound<'py, PyAny>;
            type Error = PyErr;

            fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
                $convert(py, &self.0)
            }
        }
    )*};
}

returned! {
    /// A return value that becomes a NumPy array.
    ToNumpy by to_numpy;
    /// A return value that becomes a torch tensor.
    ToTorch by to_torch;
    /// A return value that becomes a TensorFlow tensor.
    ToTensorFlow by to_tensorflow;
    /// A return value that becomes a JAX array.
    ToJax by to_jax;
    /// A return value that becomes an `ndbridge.Tensor`, of the Python package of that name.
    ToNdbridge by to_ndbridge;
    /// A return value that becomes a memoryview.
    ToMemoryView by to_memoryview;
}

fn to_ndbridge<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let capsule = capsule::to_ndbridge(py, tensor)?;
    py.import("ndbridge")?.call_method1("from_dlpack", (capsule,))
}

fn to_memoryview<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyMemoryView::from(&to_numpy(py, tensor)?)?.into_any())
}
