//! Host memory that is kept for reuse.

use ndbridge::storage;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What is kept of large blocks of host memory, and how often that was used again, by name.
#[pyfunction]
pub fn cache_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stats = storage::cache_stats();
    let named = PyDict::new(py);
    named.set_item("kept_bytes", stats.kept_bytes)?;
    named.set_item("kept_blocks", stats.kept_blocks)?;
    named.set_item("limit_bytes", stats.limit_bytes)?;
    named.set_item("hits", stats.hits)?;
    named.set_item("misses", stats.misses)?;
    Ok(named)
}

/// Gives back the host memory that is kept for reuse.
#[pyfunction]
pub fn empty_cache(py: Python<'_>) {
    py.detach(storage::empty_cache);
}

/// Sets how many bytes of host memory are kept for reuse at the most; 0 switches that off, and huge
/// pages with it.
#[pyfunction]
pub fn set_cache_limit(py: Python<'_>, bytes: usize) {
    py.detach(|| storage::set_cache_limit(bytes));
}
