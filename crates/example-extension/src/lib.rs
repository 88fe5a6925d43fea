//! An extension module to copy from: arrays of every Python library as arguments and results.
//!
//! One file per subject; each shows one thing:
//!
//! | file | shows |
//! |---|---|
//! | `normalise.rs` | writing into an argument, without the GIL |
//! | `layout.rs` | a new array, given to the library that the caller names |
//! | `distances.rs` | two arguments whose axes must agree |
//! | `totals.rs` | several data types, any data type, copies where needed |
//! | `particles.rs` | Rust objects whose fields are arrays in Python |
//! | `testing/` | what the tests need to look behind the scenes: not to be copied |

use ndbridge::python::check_interpreter;
use pyo3::prelude::*;
use pyo3::wrap_pymodule;

mod distances;
mod layout;
mod normalise;
mod particles;
mod testing;
mod totals;

/// Functions on arrays, written in Rust.
#[pymodule(gil_used = true)]
fn ndbridge_example(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // First: refuses a second interpreter before classes are made in it.
    check_interpreter(module.py())?;
    module.add_class::<particles::Particles>()?;
    module.add_function(wrap_pyfunction!(distances::pairwise_distances, module)?)?;
    module.add_function(wrap_pyfunction!(layout::to_planes, module)?)?;
    module.add_function(wrap_pyfunction!(normalise::normalise, module)?)?;
    module.add_function(wrap_pyfunction!(totals::describe, module)?)?;
    module.add_function(wrap_pyfunction!(totals::total, module)?)?;
    module.add_function(wrap_pyfunction!(totals::total_of_any, module)?)?;
    module.add_submodule(wrap_pymodule!(testing::testing)(module.py()).bind(module.py()))
}
