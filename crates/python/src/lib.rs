//! The compiled half of the Python package `ndbridge`: a thin layer over the crate of that name.

use pyo3::prelude::*;

mod argument;
#[expect(unsafe_code, reason = "fills the Py_buffer structure of the buffer protocol")]
mod buffer;
mod casting;
mod counting;
mod create;
#[expect(unsafe_code, reason = "takes the handles of other libraries' streams")]
mod cuda;
mod dtype;
#[expect(unsafe_code, reason = "functions that foreign code calls with pointers")]
mod exchange;
mod files;
#[expect(unsafe_code, reason = "takes slices apart, asks what is a sequence")]
mod index;
mod interchange;
#[expect(unsafe_code, reason = "makes Python's lists, numbers and strings")]
mod lists;
mod memory;
mod pieces;
mod planning;
mod rows;
mod scalar;
#[expect(unsafe_code, reason = "makes itself the base object of the arrays it lends")]
mod tensor;
mod threads;
mod views;

/// What is in `ndbridge.cuda`.
#[pymodule(name = "_cuda", gil_used = true)]
mod cuda_functions {
    #[pymodule_export]
    use crate::cuda::{
        PyStream, current_stream, device_count, device_name, empty_cache, is_available,
        memory_stats, reset_peak_memory_stats, set_release_threshold, synchronize,
    };
}

/// Carries n-dimensional arrays between NumPy, PyTorch, TensorFlow, JAX, Rust and files, sharing or
/// copying as asked.
#[pymodule(gil_used = true)]
mod _ndbridge {
    use super::*;

    #[pymodule_export]
    use crate::casting::{can_cast, promote_types, result_type};
    #[pymodule_export]
    use crate::counting::{CopyCount, NoCopy, copies, no_copy};
    #[pymodule_export]
    use crate::create::{
        asarray, constant, convert_to_tensor, empty, from_buffer, from_dlpack, from_numpy, full,
        ones, tensor, zeros,
    };
    #[pymodule_export]
    use crate::dtype::PyDType;
    #[pymodule_export]
    use crate::files::{NpzFile, load, load_npz, save, savez, savez_compressed};
    #[pymodule_export]
    use crate::memory::{cache_stats, empty_cache, set_cache_limit};
    #[pymodule_export]
    use crate::planning::{PyPlan, PyReceipt, array_equal, plan, shares_memory};
    #[pymodule_export]
    use crate::tensor::PyTensor;
    #[pymodule_export]
    use crate::threads::{get_num_threads, set_num_threads};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // For pickles and for `ndbridge.cuda` only: not names of the package.
        module.setattr("_cuda", pyo3::wrap_pymodule!(cuda_functions)(module.py()))?;
        module.setattr("_rebuild", wrap_pyfunction!(crate::interchange::_rebuild, module)?)
    }
}
