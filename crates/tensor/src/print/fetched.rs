//! The elements of a device's tensor that are shown, copied to the host.

use ndbridge_dtype::Scalar;
use ndbridge_storage::Device;

use super::shown::{is_elided, shown_parts};
use crate::elements::Elements;
use crate::error::TensorError;
use crate::receipt::CopyReason;
use crate::tensor::{CopyOrder, Tensor};

/// The shown elements: a block for each corner of the tensor, or one block if all are shown.
pub(super) struct Fetched {
    corners: Vec<Corner>,
}

struct Corner {
    start: Vec<usize>,
    elements: Tensor,
}

impl Fetched {
    /// Copies what a text of `tensor` shows, and nothing else.
    pub(super) fn of(tensor: &Tensor) -> Result<Self, TensorError> {
        let mut parts = vec![(Vec::new(), tensor.clone())];
        let is_elided = is_elided(tensor.shape());
        for (axis, &len) in tensor.shape().iter().enumerate() {
            let mut cut = Vec::new();
            for (start, part) in &parts {
                for (from, count) in shown_parts(len, is_elided) {
                    let (first, stop) = (Some(from as isize), Some((from + count) as isize));
                    let layout = part.layout().slice_axis(axis as isize, first, stop, 1)?;
                    let mut start = start.clone();
                    start.push(from);
                    cut.push((start, part.with_layout(layout)?));
                }
            }
            parts = cut;
        }
        let fetch = |(start, part): (Vec<usize>, Tensor)| {
            let (device, reasons) = (Device::Cpu, CopyReason::Device.into());
            let (dtype, order) = (part.dtype(), CopyOrder::C);
            let elements = part.copy_to_device("print", reasons, device, dtype, order, false)?;
            Ok(Corner { start, elements })
        };
        Ok(Self { corners: parts.into_iter().map(fetch).collect::<Result<_, TensorError>>()? })
    }

    /// An error if some element is no value of the data type.
    pub(super) fn check(&self) -> Result<(), TensorError> {
        self.corners.iter().try_for_each(|corner| Elements::of(&corner.elements).map(drop))
    }

    /// The element at an index that is shown, once they are checked.
    pub(super) fn at(&self, index: &[usize]) -> Scalar {
        let inside = |corner: &&Corner| {
            let ends = corner.start.iter().zip(corner.elements.shape());
            index.iter().zip(ends).all(|(&at, (&start, &len))| (start..start + len).contains(&at))
        };
        let corner = self.corners.iter().find(inside).expect("only indices that are shown");
        let local: Vec<usize> =
            index.iter().zip(&corner.start).map(|(at, start)| at - start).collect();
        corner.elements.get(&local).expect("private host memory, and an index of it")
    }
}
