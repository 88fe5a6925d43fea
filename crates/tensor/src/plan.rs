//! Share or copy: decided before anything happens, from facts alone.

use std::fmt;

use ndbridge_dtype::{ByteOrder, Casting, DType, can_cast};
use ndbridge_layout::Order;
use ndbridge_storage::Device;

use crate::bytes::Bytes;
use crate::receipt::{CopyReason, CopyReasons};

/// What is known of a source before it is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Data type of the elements.
    pub dtype: DType,
    /// Byte order of the elements.
    pub byte_order: ByteOrder,
    /// Number of elements.
    pub len: usize,
    /// Elements lie in C order without gaps.
    pub c_contiguous: bool,
    /// Elements lie in Fortran order without gaps.
    pub f_contiguous: bool,
    /// Address and strides suit the data type.
    pub aligned: bool,
    /// The memory may be written through this source.
    pub writable: bool,
    /// Where the memory is.
    pub device: Device,
    /// The elements lie in an array; `false` for a list or a number, from which they are gathered.
    pub is_array: bool,
}

/// When a request may copy: the `copy` argument of the array API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyRule {
    /// Share or refuse (`copy=False`).
    Never,
    /// Share if possible, else copy (`copy=None`).
    #[default]
    IfNeeded,
    /// Copy even if sharing is possible (`copy=True`).
    Always,
}

/// What a conversion asks for; `None` and `false` mean that anything will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Name of the call, for receipts and errors.
    pub call: &'static str,
    /// Data type of the result.
    pub dtype: Option<DType>,
    /// How far a change of data type may go.
    pub casting: Casting,
    /// When to copy.
    pub copy: CopyRule,
    /// Memory order of the result.
    pub order: Option<Order>,
    /// The result must be aligned for its data type.
    pub aligned: bool,
    /// The result must be writable.
    pub writable: bool,
    /// Device of the result.
    pub device: Option<Device>,
    /// A copy between places may still run when the call returns.
    pub non_blocking: bool,
}

impl Request {
    /// A request that shares whatever can be shared, made by `call`.
    #[must_use]
    pub const fn new(call: &'static str) -> Self {
        Self {
            call,
            dtype: None,
            casting: Casting::Unsafe,
            copy: CopyRule::IfNeeded,
            order: None,
            aligned: false,
            writable: false,
            device: None,
            non_blocking: false,
        }
    }

    /// The same request with another copy rule.
    #[must_use]
    pub const fn with_copy(mut self, copy: CopyRule) -> Self {
        self.copy = copy;
        self
    }

    /// The same request for a result of `dtype`.
    #[must_use]
    pub const fn with_dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// The same request for a result on `device`.
    #[must_use]
    pub const fn with_device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// The same request for a result in memory order `order`.
    #[must_use]
    pub const fn with_order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }
}

/// Why a request cannot be met at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Sharing was demanded, a copy is needed.
    NeedsCopy {
        /// Why a copy is needed.
        reasons: CopyReasons,
        /// Bytes the copy would take.
        bytes: usize,
        /// Data type of the source.
        from: DType,
        /// Data type that was asked for.
        to: DType,
    },
    /// The data type may not change that far.
    Casting {
        /// Data type of the source.
        from: DType,
        /// Data type that was asked for.
        to: DType,
        /// The rule that forbids it.
        casting: Casting,
    },
    /// There is no such device. A [`plan()`], which asks no driver, never answers this.
    NoDevice {
        /// Device that was asked for.
        device: Device,
    },
}

/// What a conversion will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Use the source's memory.
    Share,
    /// Copy.
    Copy {
        /// Why.
        reasons: CopyReasons,
        /// Bytes of the result.
        bytes: usize,
    },
    /// Do nothing and say why.
    Refuse(Refusal),
}

/// Decides whether `request` shares `facts`' memory, copies it, or is refused.
///
/// Pure: it looks at nothing but its arguments, and every conversion of this workspace carries
/// out what it answers.
///
/// ```
/// use ndbridge_tensor::{CopyReason, CopyRule, DType, Plan, Request, Tensor, plan};
/// let tensor = Tensor::from_vec(vec![1.0_f64; 100]);
/// let request = Request::new("asarray").with_dtype(DType::F32);
/// let Plan::Copy { reasons, bytes } = plan(&tensor.facts(), &request) else { panic!() };
/// assert!(reasons.contains(CopyReason::DType));
/// assert_eq!(bytes, 400);
/// assert!(matches!(
///     plan(&tensor.facts(), &request.with_copy(CopyRule::Never)),
///     Plan::Refuse(_)
/// ));
/// ```
#[must_use]
pub fn plan(facts: &Facts, request: &Request) -> Plan {
    let dtype = request.dtype.unwrap_or(facts.dtype);
    if !can_cast(facts.dtype, dtype, request.casting) {
        return Plan::Refuse(Refusal::Casting {
            from: facts.dtype,
            to: dtype,
            casting: request.casting,
        });
    }
    let needed = needed_reasons(facts, request, dtype);
    let reasons = needed.with_if(request.copy == CopyRule::Always, CopyReason::Requested);
    if reasons.is_empty() {
        return Plan::Share;
    }
    // Lengths of one source always fit; a wider dtype may not, and then the allocation refuses.
    let bytes = facts.len.saturating_mul(dtype.item_bytes());
    match request.copy {
        CopyRule::Never => {
            Plan::Refuse(Refusal::NeedsCopy { reasons, bytes, from: facts.dtype, to: dtype })
        }
        CopyRule::IfNeeded | CopyRule::Always => Plan::Copy { reasons, bytes },
    }
}

fn needed_reasons(facts: &Facts, request: &Request, dtype: DType) -> CopyReasons {
    let in_order = match request.order {
        None => true,
        Some(Order::C) => facts.c_contiguous,
        Some(Order::F) => facts.f_contiguous,
    };
    CopyReasons::NONE
        .with_if(!facts.is_array, CopyReason::NotAnArray)
        .with_if(dtype != facts.dtype, CopyReason::DType)
        .with_if(facts.byte_order != ByteOrder::NATIVE, CopyReason::ByteOrder)
        .with_if(!in_order, CopyReason::Order)
        .with_if(request.aligned && !facts.aligned, CopyReason::Alignment)
        .with_if(request.writable && !facts.writable, CopyReason::ReadOnly)
        .with_if(request.device.is_some_and(|wanted| !is_on(facts, wanted)), CopyReason::Device)
}

/// Whether the source is where it is wanted: pinned memory is host memory as well.
fn is_on(facts: &Facts, wanted: Device) -> bool {
    facts.device == wanted || wanted == Device::Cpu && facts.device.is_host()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsCopy { reasons, bytes, from, to } => {
                let dtypes = if from == to { format!("{from}") } else { format!("{from} as {to}") };
                let size = Bytes(*bytes);
                write!(f, "cannot share {dtypes} ({reasons}): allow a copy (copies {size})")
            }
            Self::Casting { from, to, casting } => {
                write!(f, "cannot cast {from} to {to} under casting '{casting}'")
            }
            Self::NoDevice { device } => write!(f, "there is no device {device}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share => f.write_str("share"),
            Self::Copy { reasons, bytes } => write!(f, "copy {} ({reasons})", Bytes(*bytes)),
            Self::Refuse(refusal) => write!(f, "refuse: {refusal}"),
        }
    }
}
