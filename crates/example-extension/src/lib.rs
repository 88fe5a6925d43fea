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

use pyo3::prelude::*;

mod distances;
mod layout;
mod normalise;
mod particles;
mod testing;
mod totals;

/// Functions on arrays, written in Rust.
#[pymodule(gil_used = true)]
mod ndbridge_example {
    #[pymodule_export]
    use crate::distances::pairwise_distances;
    #[pymodule_export]
    use crate::layout::to_planes;
    #[pymodule_export]
    use crate::normalise::normalise;
    #[pymodule_export]
    use crate::particles::Particles;
    #[pymodule_export]
    use crate::testing::testing;
    #[pymodule_export]
    use crate::totals::{describe, total, total_of_any};
}
