//! Byte order.

use ndbridge_dtype::{ByteOrder, DType};

use super::Source;
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
        let reasons = CopyReasons::from(CopyReason::ByteOrder);
        let source = Source::borrow(self)?;
        let mut fresh =
            source.start_copy("to_native_order", reasons, self.dtype(), CopyOrder::Keep)?;
        fresh.fill_from(&source);
        if stored != ByteOrder::NATIVE {
            swap_components(fresh.bytes_mut(), self.dtype());
        }
        fresh.finish()
    }
}

/// Reverses the bytes of every component: of every element, or of both halves of a complex one.
fn swap_components(bytes: &mut [u8], dtype: DType) {
    for component in bytes.chunks_exact_mut(dtype.component_bytes()) {
        component.reverse();
    }
}
