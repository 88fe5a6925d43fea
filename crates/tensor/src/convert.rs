//! Plans carried out, and what they are made from.

use ndbridge_dtype::ByteOrder;
use ndbridge_layout::Order;

use crate::error::TensorError;
use crate::plan::{Facts, Plan, Request, plan};
use crate::receipt::Receipt;
use crate::tensor::{CopyOrder, Tensor};

impl Tensor {
    /// What a [`plan`](crate::plan()) needs to know of this tensor.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts { writable: self.can_be_written(), ..self.facts_but_writable() }
    }

    /// The facts, which say that the tensor cannot be written.
    fn facts_but_writable(&self) -> Facts {
        Facts {
            dtype: self.dtype(),
            byte_order: ByteOrder::NATIVE,
            len: self.len(),
            c_contiguous: self.is_contiguous(Order::C),
            f_contiguous: self.is_contiguous(Order::F),
            aligned: self.is_aligned(),
            writable: false,
            device: self.device(),
            is_array: true,
        }
    }

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
        // Whether it can be written takes a search, for the strides of a view.
        let writable = request.writable && self.can_be_written();
        self.convert_from(&Facts { writable, ..self.facts_but_writable() }, request)
    }

    /// As [`convert`](Self::convert), for elements that came from elsewhere: `facts` are the
    /// source's, and this tensor holds its bytes as they are, maybe in the other byte order.
    ///
    /// # Errors
    /// As [`convert`](Self::convert).
    #[track_caller]
    pub fn convert_from(&self, facts: &Facts, request: &Request) -> Result<Self, TensorError> {
        let call = request.call;
        let reasons = match plan(facts, request) {
            Plan::Share => return Ok(self.clone().with_receipt(Receipt::shared(call))),
            Plan::Refuse(refusal) => return Err(TensorError::Refused { call, refusal }),
            Plan::Copy { reasons, .. } => reasons,
        };
        let order = match request.order {
            None => CopyOrder::Keep,
            Some(Order::C) => CopyOrder::C,
            Some(Order::F) => CopyOrder::F,
        };
        let dtype = request.dtype.unwrap_or(self.dtype());
        let device = request.device.unwrap_or(self.device());
        if facts.byte_order == ByteOrder::NATIVE {
            let non_blocking = request.non_blocking;
            return self.copy_to_device(call, reasons, device, dtype, order, non_blocking);
        }
        let native = self.native_copy(call, reasons, facts.byte_order, order)?;
        if dtype == native.dtype() && device.is_host() {
            return Ok(native);
        }
        native.copy_to_device(call, reasons, device, dtype, CopyOrder::Keep, false)
    }
}
