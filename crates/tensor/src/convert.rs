//! Plans carried out.

use crate::error::TensorError;
use crate::layout::Order;
use crate::plan::{Plan, Request, plan};
use crate::receipt::Receipt;
use crate::tensor::{CopyOrder, Tensor};

impl Tensor {
    /// What `request` asks for, by sharing or copying as [`plan`](crate::plan()) decides; the
    /// receipt of the result tells which.
    ///
    /// ```
    /// use ndbridge_tensor::{CopyRule, DType, Request, Tensor};
    /// let tensor = Tensor::from_vec(vec![1.0_f64, 2.0]);
    /// let same = tensor.convert(&Request::new("asarray"))?;
    /// assert!(same.receipt().is_shared());
    /// let floats = tensor.convert(&Request::new("asarray").with_dtype(DType::F32))?;
    /// assert_eq!(floats.receipt().copied_bytes(), 8);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError::Refused`] where the plan refuses; where it copies, as [`copy`](Self::copy).
    #[track_caller]
    pub fn convert(&self, request: &Request) -> Result<Self, TensorError> {
        let call = request.call;
        match plan(&self.facts(), request) {
            Plan::Share => Ok(self.clone().with_receipt(Receipt::shared(call))),
            Plan::Copy { reasons, .. } => {
                let order = match request.order {
                    None => CopyOrder::Keep,
                    Some(Order::C) => CopyOrder::C,
                    Some(Order::F) => CopyOrder::F,
                };
                self.copy_for(call, reasons, request.dtype.unwrap_or(self.dtype()), order)
            }
            Plan::Refuse(refusal) => Err(TensorError::Refused { call, refusal }),
        }
    }
}
