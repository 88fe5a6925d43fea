//! The compiled half of the Python package `ndbridge`: a thin layer over the crate of that name.

use ndbridge::python::check_interpreter;
use pyo3::prelude::*;
use pyo3::wrap_pymodule;

mod argument;
#[expect(unsafe_code, reason = "fills the Py_buffer structure of the buffer protocol")]
mod buffer;
mod casting;
mod counting;
mod create;
#[expect(unsafe_code, reason = "takes the handles of other libraries' streams")]
mod cuda;
mod device;
mod dtype;
mod everyday;
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
fn _ndbridge(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // First: classes belong to the interpreter that they are made in.
    check_interpreter(module.py())?;
    ndbridge::python::attend();
    module.add_class::<dtype::PyDType>()?;
    module.add_class::<tensor::PyTensor>()?;
    module.add_class::<planning::PyPlan>()?;
    module.add_class::<planning::PyReceipt>()?;
    module.add_class::<counting::CopyCount>()?;
    module.add_class::<counting::NoCopy>()?;
    module.add_class::<files::NpzFile>()?;
    let functions = [
        wrap_pyfunction!(casting::can_cast, module)?,
        wrap_pyfunction!(casting::promote_types, module)?,
        wrap_pyfunction!(casting::result_type, module)?,
        wrap_pyfunction!(counting::copies, module)?,
        wrap_pyfunction!(counting::no_copy, module)?,
        wrap_pyfunction!(create::asarray, module)?,
        wrap_pyfunction!(create::constant, module)?,
        wrap_pyfunction!(create::convert_to_tensor, module)?,
        wrap_pyfunction!(create::empty, module)?,
        wrap_pyfunction!(create::from_buffer, module)?,
        wrap_pyfunction!(create::from_dlpack, module)?,
        wrap_pyfunction!(create::from_numpy, module)?,
        wrap_pyfunction!(create::full, module)?,
        wrap_pyfunction!(create::ones, module)?,
        wrap_pyfunction!(create::tensor, module)?,
        wrap_pyfunction!(create::zeros, module)?,
        wrap_pyfunction!(files::load, module)?,
        wrap_pyfunction!(files::load_npz, module)?,
        wrap_pyfunction!(files::save, module)?,
        wrap_pyfunction!(files::savez, module)?,
        wrap_pyfunction!(files::savez_compressed, module)?,
        wrap_pyfunction!(memory::cache_stats, module)?,
        wrap_pyfunction!(memory::empty_cache, module)?,
        wrap_pyfunction!(memory::set_cache_limit, module)?,
        wrap_pyfunction!(planning::array_equal, module)?,
        wrap_pyfunction!(planning::plan, module)?,
        wrap_pyfunction!(planning::shares_memory, module)?,
        wrap_pyfunction!(threads::get_num_threads, module)?,
        wrap_pyfunction!(threads::set_num_threads, module)?,
    ];
    for function in functions {
        module.add_function(function)?;
    }
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // For pickles and for `ndbridge.cuda` only: not names of the package.
    module.setattr("_cuda", wrap_pymodule!(cuda_functions)(module.py()))?;
    module.setattr("_rebuild", wrap_pyfunction!(interchange::_rebuild, module)?)
}
