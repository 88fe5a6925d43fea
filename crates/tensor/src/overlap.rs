//! Whether two tensors reach a common byte.

use ndbridge_storage::{Overlap, may_overlap};

use crate::tensor::Tensor;

/// Steps of the exact search; past it the answer is "yes", which no real layout has been seen to
/// need.
const SEARCH_STEPS: u64 = 1 << 28;

/// Whether `a` and `b` have a byte in common.
///
/// Exact, also for interleaved views: two tensors may share a storage and no byte.
///
/// ```
/// use ndarray::s;
/// use ndbridge_tensor::{Tensor, shares_memory};
/// let all = Tensor::from_vec(vec![0_u8; 10]);
/// let even = all.slice(s![..;2])?;
/// let odd = all.slice(s![1..;2])?;
/// assert!(shares_memory(&all, &odd));
/// assert!(!shares_memory(&even, &odd));
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[must_use]
pub fn shares_memory(a: &Tensor, b: &Tensor) -> bool {
    a.device() == b.device()
        && may_overlap(&a.region(), &b.region(), SEARCH_STEPS) != Overlap::Disjoint
}
