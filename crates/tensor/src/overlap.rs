//! Whether two tensors reach a common byte.

use ndbridge_storage::Overlap;

use crate::tensor::Tensor;

/// Steps of the exact search; past it the answer is "yes", which no real layout has been seen to
/// need.
const SEARCH_STEPS: u64 = 1 << 28;

/// Whether `a` and `b` have a byte in common.
///
/// Exact, also for interleaved views: two tensors may share a storage and no byte. Maps of one file
/// share its bytes: what is written through one is seen through the others. A copy-on-write map shares
/// with read-only and read-write maps, since it changes with the file until it is written itself; with
/// another copy-on-write map it shares nothing.
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
    a.device() == b.device() && a.may_overlap(b, SEARCH_STEPS) != Overlap::Disjoint
}

impl Tensor {
    /// As [`Storage::may_overlap`](crate::Storage::may_overlap), of all elements.
    pub(crate) fn may_overlap(&self, other: &Self, budget: u64) -> Overlap {
        let (region, other_region) = (self.region(), other.region());
        self.storage().may_overlap(&region, other.storage(), &other_region, budget)
    }
}
