//! What a conversion did, kept with its result.

use std::fmt;

use crate::bytes::Bytes;

/// Why bytes had to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyReason {
    /// The caller asked for a copy.
    Requested,
    /// Another data type was asked for.
    DType,
    /// The source stores its numbers in the other byte order.
    ByteOrder,
    /// The memory order that was asked for is not the source's.
    Order,
    /// The source is not aligned for its data type.
    Alignment,
    /// Writable memory was asked for, the source is read-only.
    ReadOnly,
    /// Source and destination overlap, so the source was set aside first.
    Overlap,
    /// The owner is shared, or is not of the type that was asked for.
    Owner,
    /// The source is on another device.
    Device,
    /// The source is no array: a list, a scalar, a compressed file.
    NotAnArray,
}

impl CopyReason {
    const COUNT: usize = 10;

    /// Every reason.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Requested,
        Self::DType,
        Self::ByteOrder,
        Self::Order,
        Self::Alignment,
        Self::ReadOnly,
        Self::Overlap,
        Self::Owner,
        Self::Device,
        Self::NotAnArray,
    ];

    /// The reason as one lower-case word or two, such as `byte order`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::DType => "dtype",
            Self::ByteOrder => "byte order",
            Self::Order => "order",
            Self::Alignment => "alignment",
            Self::ReadOnly => "read-only",
            Self::Overlap => "overlap",
            Self::Owner => "owner",
            Self::Device => "device",
            Self::NotAnArray => "not an array",
        }
    }
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`CopyReason`]s.
///
/// ```
/// use ndbridge_tensor::{CopyReason, CopyReasons};
/// let reasons = CopyReasons::from(CopyReason::DType).with(CopyReason::Order);
/// assert_eq!(reasons.to_string(), "dtype, order");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CopyReasons(u16);

impl CopyReasons {
    /// No reason: nothing was copied.
    pub const NONE: Self = Self(0);

    /// This set and one reason more.
    #[must_use]
    pub const fn with(self, reason: CopyReason) -> Self {
        Self(self.0 | 1 << reason as u16)
    }

    /// This set, with `reason` added where `applies`.
    #[must_use]
    pub(crate) const fn with_if(self, applies: bool, reason: CopyReason) -> Self {
        if applies { self.with(reason) } else { self }
    }

    /// Whether `reason` is in the set.
    #[must_use]
    pub const fn contains(self, reason: CopyReason) -> bool {
        self.0 & (1 << reason as u16) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons in the set.
    pub fn iter(self) -> impl Iterator<Item = CopyReason> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let reason = *CopyReason::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(reason)
        })
    }
}

impl From<CopyReason> for CopyReasons {
    fn from(reason: CopyReason) -> Self {
        Self::NONE.with(reason)
    }
}

impl fmt::Display for CopyReasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, reason) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(reason.name())?;
        }
        Ok(())
    }
}

/// What happened to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// New memory was made and filled.
    Created,
    /// The source's memory is used.
    Shared,
    /// The source's elements were copied into new memory.
    Copied {
        /// Why.
        reasons: CopyReasons,
        /// Bytes written.
        bytes: usize,
    },
}

/// What the call that made a tensor did.
///
/// A view keeps the receipt of the conversion its memory came from.
///
/// ```
/// use ndbridge_tensor::{Action, CopyReason, DType, Tensor};
/// let halves = Tensor::from_vec(vec![0.5_f32; 4]).to_dtype(DType::F16)?;
/// let receipt = halves.receipt();
/// assert_eq!(receipt.call(), "to_dtype");
/// assert_eq!(receipt.copied_bytes(), 8);
/// assert!(receipt.reasons().contains(CopyReason::DType));
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    call: &'static str,
    action: Action,
    kernel: Option<&'static str>,
}

impl Receipt {
    /// A receipt of `call`, which made new memory.
    #[must_use]
    pub const fn created(call: &'static str) -> Self {
        Self { call, action: Action::Created, kernel: None }
    }

    /// A receipt of `call`, which shares.
    #[must_use]
    pub const fn shared(call: &'static str) -> Self {
        Self { call, action: Action::Shared, kernel: None }
    }

    /// A receipt of `call`, which wrote `bytes` for `reasons`.
    #[must_use]
    pub const fn copied(call: &'static str, reasons: CopyReasons, bytes: usize) -> Self {
        Self { call, action: Action::Copied { reasons, bytes }, kernel: None }
    }

    /// This receipt, of bytes that `kernel` copied.
    #[must_use]
    pub(crate) const fn by_kernel(self, kernel: Option<&'static str>) -> Self {
        Self { kernel, ..self }
    }

    /// The name of the call.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// What the call did.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Whether the call shared its source's memory.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.action, Action::Shared)
    }

    /// The kernel of the copy engine that moved the bytes in host memory; `None` if it moved none.
    ///
    /// ```
    /// use ndbridge_tensor::{CopyOrder, Tensor};
    /// let image = Tensor::from_vec(vec![0_u8; 768]).reshape(&[16, 16, 3])?;
    /// let planes = image.permute(&[2, 0, 1])?.copy(CopyOrder::C)?;
    /// assert_eq!(planes.receipt().kernel(), Some("split"));
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// | name | elements |
    /// |---|---|
    /// | `block` | are one block on both sides |
    /// | `rows` | lie in blocks of one size |
    /// | `transpose` | lie in rows on one side, in columns on the other |
    /// | `split`, `merge` | are 2 to 4 channels that come apart, or together |
    /// | `reverse`, `step` | lie backwards, or up to 4 items apart, in the source |
    /// | `repeat` | are one that the source repeats |
    /// | `general` | lie in any other way |
    /// | `cast` | change their data type |
    #[must_use]
    pub const fn kernel(&self) -> Option<&'static str> {
        self.kernel
    }

    /// Bytes the call copied; 0 if it shared or made new memory.
    #[must_use]
    pub const fn copied_bytes(&self) -> usize {
        match self.action {
            Action::Copied { bytes, .. } => bytes,
            Action::Created | Action::Shared => 0,
        }
    }

    /// Why the call copied; empty if it did not.
    #[must_use]
    pub const fn reasons(&self) -> CopyReasons {
        match self.action {
            Action::Copied { reasons, .. } => reasons,
            Action::Created | Action::Shared => CopyReasons::NONE,
        }
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Created => write!(f, "{}: created", self.call),
            Action::Shared => write!(f, "{}: shared, 0 B copied", self.call),
            Action::Copied { reasons, bytes } => {
                let size = Bytes(bytes);
                write!(f, "{}: copied {size} ({reasons})", self.call)
            }
        }
    }
}
