//! The copy counter and the `no_copy` scope, both per thread.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons, Receipt};

thread_local! {
    static COUNT: RefCell<CopyCount> = const { RefCell::new(CopyCount::ZERO) };
    static FORBIDDEN: Cell<usize> = const { Cell::new(0) };
}

/// How much this thread has copied since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCount {
    /// Number of copies.
    pub copies: u64,
    /// Bytes written by them.
    pub bytes: u64,
    by_reason: [u64; CopyReason::ALL.len()],
}

impl CopyCount {
    const ZERO: Self = Self { copies: 0, bytes: 0, by_reason: [0; CopyReason::ALL.len()] };

    /// Bytes copied for `reason`; a copy with two reasons counts under both.
    #[must_use]
    pub const fn bytes_for(&self, reason: CopyReason) -> u64 {
        self.by_reason[reason as usize]
    }
}

/// What this thread has copied so far: read it before and after a call to see what the call did.
///
/// ```
/// use ndbridge_tensor::{Tensor, copies};
/// let tensor = Tensor::from_vec(vec![1.0_f64; 1000]);
/// let before = copies().bytes;
/// let _view = tensor.flip(&[0])?;
/// assert_eq!(copies().bytes - before, 0);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[must_use]
pub fn copies() -> CopyCount {
    COUNT.with_borrow(|count| *count)
}

/// Forbids copies on this thread until the returned value is dropped.
///
/// Every copy, also one that is asked for, is an error then that names its reason and what to do.
/// Scopes nest. Assignment from a tensor is a copy, too; filling with a number only writes.
///
/// ```
/// use ndbridge_tensor::{DType, Tensor, no_copy};
/// let tensor = Tensor::from_vec(vec![1_i64, 2]);
/// let scope = no_copy();
/// let error = tensor.to_dtype(DType::F64).unwrap_err();
/// assert!(error.to_string().contains("dtype"));
/// drop(scope);
/// assert!(tensor.to_dtype(DType::F64).is_ok());
/// ```
pub fn no_copy() -> NoCopy {
    FORBIDDEN.set(FORBIDDEN.get() + 1);
    NoCopy { _not_send: PhantomData }
}

/// A scope in which this thread may not copy; see [`no_copy`].
#[derive(Debug)]
#[must_use = "copies are forbidden only while the scope lives"]
pub struct NoCopy {
    // The count it lowers belongs to the thread that made it.
    _not_send: PhantomData<*const ()>,
}

impl Drop for NoCopy {
    fn drop(&mut self) {
        FORBIDDEN.set(FORBIDDEN.get() - 1);
    }
}

/// A copy that is allowed and not made yet.
///
/// For those who copy into tensors by ways of their own, as readers of files do.
///
/// ```
/// use ndbridge_tensor::{CopyReason, PendingCopy, copies};
/// let before = copies().bytes;
/// let pending = PendingCopy::begin("load", CopyReason::Requested.into(), 4096)?;
/// // .. read 4096 bytes ..
/// let receipt = pending.finish();
/// assert_eq!(copies().bytes - before, 4096);
/// assert_eq!(receipt.copied_bytes(), 4096);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Debug)]
#[must_use = "a copy counts once it is finished"]
pub struct PendingCopy {
    call: &'static str,
    reasons: CopyReasons,
    bytes: usize,
}

impl PendingCopy {
    /// Asks before `call` copies `bytes` for `reasons`.
    ///
    /// # Errors
    /// [`TensorError::CopyForbidden`] inside a `no_copy` scope.
    pub fn begin(
        call: &'static str,
        reasons: CopyReasons,
        bytes: usize,
    ) -> Result<Self, TensorError> {
        if FORBIDDEN.get() > 0 {
            return Err(TensorError::CopyForbidden { call, reasons, bytes });
        }
        Ok(Self { call, reasons, bytes })
    }

    /// Counts the copy, which was made.
    pub fn finish(self) -> Receipt {
        let Self { call, reasons, bytes } = self;
        COUNT.with_borrow_mut(|count| {
            count.copies += 1;
            count.bytes += bytes as u64;
            for reason in reasons.iter() {
                count.by_reason[reason as usize] += bytes as u64;
            }
        });
        Receipt::copied(call, reasons, bytes)
    }
}
