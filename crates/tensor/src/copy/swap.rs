//! Byte order.

use ndbridge_dtype::{ByteOrder, DType};

use super::fresh::Copying;
use super::source::Source;
use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons};
use crate::tensor::{CopyOrder, Tensor};

impl Tensor {
    /// A copy of numbers that were stored in `stored` byte order, in this machine's order.
    ///
    /// For sources that come in the other byte order: their bytes are imported as they are, under
    /// the data type they would have, and this call makes them right.
    ///
    /// ```
    /// use ndbridge_tensor::{DType, Tensor, dtype::ByteOrder};
    /// let stored = Tensor::from_vec(vec![0_u8, 1, 0, 2]).reinterpret(DType::U16)?;
    /// let numbers = stored.to_native_order(ByteOrder::Big)?;
    /// assert_eq!(numbers.to_vec::<u16>()?, [1, 2]);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If the memory cannot be read or copies are forbidden.
    #[track_caller]
    pub fn to_native_order(&self, stored: ByteOrder) -> Result<Self, TensorError> {
        self.native_copy("to_native_order", CopyReason::ByteOrder.into(), stored, CopyOrder::Keep)
    }

    /// As [`to_native_order`](Self::to_native_order), made by `call` for `reasons`.
    #[track_caller]
    pub(crate) fn native_copy(
        &self,
        call: &'static str,
        reasons: CopyReasons,
        stored: ByteOrder,
        order: CopyOrder,
    ) -> Result<Self, TensorError> {
        let source = Source::borrow(self)?;
        let dtype = self.dtype();
        source.copy(Copying { call, reasons, dtype, order, is_pinned: false }, |bytes| {
            if stored != ByteOrder::NATIVE {
                swap_components(bytes, dtype);
            }
        })
    }
}

/// Reverses the bytes of every component: of every element, or of both halves of a complex one.
fn swap_components(bytes: &mut [u8], dtype: DType) {
    for component in bytes.chunks_exact_mut(dtype.component_bytes()) {
        component.reverse();
    }
}
