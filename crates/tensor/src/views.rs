//! Views: other layouts of the same memory. None of these copies.

use ndarray::SliceInfoElem;
use ndbridge_dtype::DType;
use ndbridge_layout::{Index, Parts};
use ndbridge_storage::StorageError;

use crate::error::TensorError;
use crate::ndarray_slice::sliced;
use crate::tensor::Tensor;

/// A view: shares the memory, keeps data type, read-only flag and receipt.
type View = Result<Tensor, TensorError>;

impl Tensor {
    /// Part of the tensor, by ndarray's `s![]`.
    ///
    /// A negative step walks the chosen range backwards, as in ndarray.
    ///
    /// ```
    /// use ndarray::s;
    /// use ndbridge_tensor::Tensor;
    /// let tensor = Tensor::from_vec(vec![0_i32, 1, 2, 3, 4]);
    /// assert_eq!(tensor.slice(s![1..;2])?.to_vec::<i32>()?, [1, 3]);
    /// assert_eq!(tensor.slice(s![1..4;-1])?.to_vec::<i32>()?, [3, 2, 1]);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If an index or range is out of bounds, or there are more indices than axes.
    pub fn slice(&self, info: impl AsRef<[SliceInfoElem]>) -> View {
        self.with_layout(sliced(self.layout(), info.as_ref())?)
    }

    /// Part of the tensor, by NumPy's basic indexing.
    ///
    /// # Errors
    /// If an index is out of bounds or there are more indices than axes.
    pub fn index(&self, indices: &[Index]) -> View {
        self.with_layout(self.layout().index(indices)?)
    }

    /// The elements at position `at` of `axis`, which goes away.
    ///
    /// # Errors
    /// If the axis or the position does not exist.
    pub fn select(&self, axis: isize, at: isize) -> View {
        self.with_layout(self.layout().select(axis, at)?)
    }

    /// Axes in another order: axis `i` of the result is axis `axes[i]` of this tensor.
    ///
    /// # Errors
    /// Unless `axes` names every axis once.
    pub fn permute(&self, axes: &[isize]) -> View {
        self.with_layout(self.layout().permute(axes)?)
    }

    /// Axes in reversed order.
    ///
    /// # Errors
    /// Never for a tensor that exists.
    pub fn transpose(&self) -> View {
        self.with_layout(self.layout().transpose())
    }

    /// Two axes swapped.
    ///
    /// # Errors
    /// If an axis does not exist.
    pub fn swap_axes(&self, a: isize, b: isize) -> View {
        self.with_layout(self.layout().swap_axes(a, b)?)
    }

    /// The given axes walked backwards.
    ///
    /// # Errors
    /// If an axis does not exist or is named twice.
    pub fn flip(&self, axes: &[isize]) -> View {
        self.with_layout(self.layout().flip(axes)?)
    }

    /// Without axes of length 1: those named, or all.
    ///
    /// # Errors
    /// If a named axis does not exist or is longer.
    pub fn squeeze(&self, axes: Option<&[isize]>) -> View {
        self.with_layout(self.layout().squeeze(axes)?)
    }

    /// With a new axis of length 1 at `axis`.
    ///
    /// # Errors
    /// If `axis` lies outside of the result.
    pub fn unsqueeze(&self, axis: isize) -> View {
        self.with_layout(self.layout().unsqueeze(axis, self.dtype().item_bytes())?)
    }

    /// Repeated to `shape` by NumPy's broadcasting, without a copy. The result can be read, not
    /// written, where an element appears twice.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn broadcast_to(&self, shape: &[usize]) -> View {
        self.with_layout(self.layout().broadcast_to(shape)?)
    }

    /// Repeated by torch's `expand`: -1 keeps the length of an axis.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn expand(&self, shape: &[isize]) -> View {
        self.with_layout(self.layout().expand(shape)?)
    }

    /// The diagonal of two axes, as a new last axis.
    ///
    /// # Errors
    /// If the axes do not exist or are the same.
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> View {
        self.with_layout(self.layout().diagonal(offset, axis1, axis2)?)
    }

    /// Cut along `axis`: into so many sections, or at given positions, as NumPy's `array_split`.
    ///
    /// ```
    /// use ndbridge_tensor::{Parts, Tensor};
    /// let tensor = Tensor::from_vec(vec![0_u8, 1, 2, 3, 4]);
    /// let parts = tensor.split(Parts::Sections(2), 0)?;
    /// assert_eq!(parts[0].to_vec::<u8>()?, [0, 1, 2]);
    /// assert_eq!(parts[1].to_vec::<u8>()?, [3, 4]);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If there are 0 sections, more than memory has room for, or the axis does not exist.
    pub fn split(&self, parts: Parts<'_>, axis: isize) -> Result<Vec<Self>, TensorError> {
        let layouts = self.layout().split(parts, axis)?;
        let len = match parts {
            Parts::Sections(sections) => sections,
            Parts::At(cuts) => cuts.len() + 1,
        };
        let mut tensors = Vec::new();
        let len_bytes = len.saturating_mul(size_of::<Self>());
        tensors.try_reserve_exact(len).map_err(|_| StorageError::OutOfMemory { len_bytes })?;
        for layout in layouts {
            tensors.push(self.with_layout(layout)?);
        }
        Ok(tensors)
    }

    /// Every window of length `window` along `axes` (or all axes), as new last axes.
    ///
    /// # Errors
    /// If a window is longer than its axis, or their numbers differ.
    pub fn sliding_windows(&self, window: &[usize], axes: Option<&[isize]>) -> View {
        self.with_layout(self.layout().sliding_windows(window, axes)?)
    }

    /// The same elements, in C order, in another shape; one length may be -1.
    ///
    /// # Errors
    /// If the numbers of elements differ, or if the strides do not allow it without a copy: then
    /// [`reshape_copy`](Self::reshape_copy) is the way.
    pub fn reshape(&self, shape: &[isize]) -> View {
        self.with_layout(self.layout().reshape(shape, self.dtype().item_bytes())?)
    }

    /// The same bytes as another data type, by the rules of NumPy's `view(dtype)`.
    ///
    /// # Errors
    /// If the item sizes differ and the last axis cannot take that up.
    pub fn reinterpret(&self, dtype: DType) -> View {
        let layout = self.layout().reinterpret(self.dtype().item_bytes(), dtype.item_bytes())?;
        self.with_layout_and_dtype(layout, dtype)
    }
}
