//! What the tests need to look behind the scenes.

mod borrowing;
mod constraints;
mod detached;
mod keeping;
mod mapping;

use pyo3::prelude::*;

/// For the tests only.
#[pymodule(gil_used = true)]
pub mod testing {
    #[pymodule_export]
    use super::borrowing::{
        both_read, both_written, call_while_reading, call_while_writing, fill_after, overlap,
        sum_while,
    };
    #[pymodule_export]
    use super::constraints::{aligned64, any_axes, bools, c_order, contiguous, f_order};
    #[pymodule_export]
    use super::detached::{
        fill_detached_while, hold_again, panic_detached, shared_sum, sum_detached_while,
        sum_of_tensor_detached_while, unblocked,
    };
    #[pymodule_export]
    use super::keeping::{Keeper, counted, dropped};
    #[pymodule_export]
    use super::mapping::{call_while_mapped, fill_file, sum_of_file};
}
