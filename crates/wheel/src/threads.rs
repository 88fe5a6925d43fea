//! How many threads a large copy may use.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Threads that a large copy uses at most, the caller's own counted: the cores that the process may
/// use, unless NDBRIDGE_NUM_THREADS or set_num_threads says otherwise.
#[pyfunction]
pub fn get_num_threads() -> usize {
    ndbridge::num_threads()
}

/// Sets get_num_threads for the whole process; 1 for the caller's own thread alone.
#[pyfunction]
#[pyo3(signature = (threads, /))]
pub fn set_num_threads(threads: usize) -> PyResult<()> {
    if threads == 0 {
        return Err(PyValueError::new_err("a copy needs a thread: pass 1 for the caller's alone"));
    }
    ndbridge::set_num_threads(threads);
    Ok(())
}
