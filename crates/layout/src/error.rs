//! Why a layout cannot be made.

use alloc::boxed::Box;
use core::fmt;

use crate::shape::MAX_NDIM;
use crate::tuple::write_tuple;

/// Why a layout, or a view of one, cannot be made. Axes count from 0 unless the caller's own number
/// is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Shape and strides differ in length.
    #[error("shape has {shape} axes, strides have {strides}: give one stride for each axis")]
    LengthMismatch {
        /// Axes of the shape.
        shape: usize,
        /// Axes of the strides.
        strides: usize,
    },
    /// More axes than a layout can have.
    #[error("at most {MAX_NDIM} axes are supported, found {found}")]
    TooManyAxes {
        /// Axes asked for.
        found: usize,
    },
    /// The number of elements or bytes does not fit `isize`.
    #[error(
        "shape {shape} with items of {item_bytes} bytes is too large: at most {max} bytes",
        shape = Tuple(shape), max = isize::MAX
    )]
    TooLarge {
        /// The shape.
        shape: Box<[usize]>,
        /// Bytes of one element (1 where only elements are counted).
        item_bytes: usize,
    },
    /// An element would lie before the first byte of the storage, or past the address space.
    #[error(
        "shape {shape}, strides {strides} from byte offset {offset} reach outside the storage: \
         every element must start at byte 0 or later and end by {max}",
        shape = Tuple(shape), strides = Tuple(strides), max = isize::MAX
    )]
    OutOfRange {
        /// The shape.
        shape: Box<[usize]>,
        /// The strides in bytes.
        strides: Box<[isize]>,
        /// Byte offset of element `[0, .., 0]`.
        offset: usize,
    },
    /// No such axis.
    #[error("axis {axis} is out of bounds: expected -{ndim} <= axis < {ndim}")]
    AxisOutOfBounds {
        /// The axis as given.
        axis: isize,
        /// How many axes there are.
        ndim: usize,
    },
    /// An axis is named twice.
    #[error("axis {axis} is named more than once: name each axis at most once")]
    RepeatedAxis {
        /// The axis, counted from 0.
        axis: usize,
    },
    /// A list with one entry for each axis has another length.
    #[error("expected one entry for each of {expected} axes, found {found}")]
    AxisCount {
        /// Axes of the layout.
        expected: usize,
        /// Entries given.
        found: usize,
    },
    /// An index is out of bounds.
    #[error(
        "index {index} is out of bounds for axis {axis} of length {len}: expected -{len} <= \
         index < {len}"
    )]
    IndexOutOfBounds {
        /// The axis.
        axis: usize,
        /// The index as given.
        index: isize,
        /// Length of the axis.
        len: usize,
    },
    /// More indices than axes.
    #[error(
        "at most {ndim} indices expected (new axes and the ellipsis not counted), found {found}"
    )]
    TooManyIndices {
        /// Axes of the layout.
        ndim: usize,
        /// Indices that consume an axis.
        found: usize,
    },
    /// More than one ellipsis.
    #[error("at most one ellipsis expected, found {found}: write full slices for the others")]
    ManyEllipses {
        /// How many were given.
        found: usize,
    },
    /// A slice with step 0.
    #[error("slice step for axis {axis} is 0: expected a positive or negative step")]
    ZeroStep {
        /// The axis.
        axis: usize,
    },
    /// A bound of an ndarray slice lies outside its axis.
    #[error(
        "slice bound {bound} is out of bounds for axis {axis} of length {len}: \
         expected -{len} <= bound <= {len} (`index` with `Index::Slice` clamps instead)"
    )]
    SliceOutOfBounds {
        /// The axis.
        axis: usize,
        /// The bound as given.
        bound: isize,
        /// Length of the axis.
        len: usize,
    },
    /// A length below zero.
    #[error(
        "length {len} of axis {axis} is negative: expected 0 or more (or one -1 where it is \
         inferred)"
    )]
    NegativeLen {
        /// The axis.
        axis: usize,
        /// The length as given.
        len: isize,
    },
    /// Only axes of length 1 can be squeezed.
    #[error(
        "axis {axis} has length {len}, expected 1: call select or index to pick one element of it"
    )]
    SqueezeLen {
        /// The axis.
        axis: usize,
        /// Its length.
        len: usize,
    },
    /// A shape does not broadcast to another.
    #[error(
        "shape {from} does not broadcast to {to}: expected length 1 or equal on every axis, \
         counted from the last",
        from = Tuple(from), to = Tuple(to)
    )]
    Broadcast {
        /// The shape to broadcast.
        from: Box<[usize]>,
        /// The shape asked for.
        to: Box<[usize]>,
    },
    /// Two shapes have no common broadcast shape.
    #[error(
        "shapes {first} and {second} do not broadcast together: expected equal lengths or 1 on \
         every axis, \
         counted from the last",
        first = Tuple(first), second = Tuple(second)
    )]
    BroadcastShapes {
        /// What the shapes before gave.
        first: Box<[usize]>,
        /// The shape that does not fit.
        second: Box<[usize]>,
    },
    /// `-1` for an axis that `expand` would add.
    #[error(
        "axis {axis} of the expanded shape is new: expected its length, found -1 (which keeps a \
         length)"
    )]
    ExpandNewAxis {
        /// The axis of the result.
        axis: usize,
    },
    /// Another number of elements.
    #[error(
        "cannot reshape {len} elements of shape {from} into shape {to}: expected as many elements",
        from = Tuple(from), to = Tuple(to)
    )]
    ReshapeLen {
        /// The shape.
        from: Box<[usize]>,
        /// Its elements.
        len: usize,
        /// The shape asked for.
        to: Box<[isize]>,
    },
    /// More than one `-1`.
    #[error("at most one length can be -1, found {found} in {to}", to = Tuple(to))]
    ReshapeManyUnknown {
        /// How many were given.
        found: usize,
        /// The shape asked for.
        to: Box<[isize]>,
    },
    /// No strides over the same memory give the shape.
    #[error(
        "shape {shape} with strides {strides} has no view of shape {to}: call reshape_copy \
         (copies)",
        shape = Tuple(shape), strides = Tuple(strides), to = Tuple(to)
    )]
    NeedsCopy {
        /// The shape.
        shape: Box<[usize]>,
        /// The strides in bytes.
        strides: Box<[isize]>,
        /// The shape asked for.
        to: Box<[usize]>,
    },
    /// A tensor without axes can only be seen as items of the same size.
    #[error(
        "a tensor of rank 0 has items of {item_bytes} bytes, cannot be seen as items of \
         {new_item_bytes}: \
         call unsqueeze(0) first"
    )]
    ReinterpretRank0 {
        /// Bytes of an element now.
        item_bytes: usize,
        /// Bytes of an element asked for.
        new_item_bytes: usize,
    },
    /// The elements of the last axis do not lie side by side.
    #[error(
        "stride of the last axis is {stride} bytes, expected {item_bytes}: items of another size \
         need \
         a contiguous last axis, call copy(CopyOrder::C) first (copies)"
    )]
    ReinterpretStride {
        /// Stride of the last axis in bytes.
        stride: isize,
        /// Bytes of an element.
        item_bytes: usize,
    },
    /// The bytes of the last axis (or of one item) are not a whole number of new items.
    #[error(
        "{bytes} bytes are not a whole number of items of {new_item_bytes} bytes: \
         expected an item size that divides it"
    )]
    ReinterpretSize {
        /// Bytes to divide: one item if the new items are smaller, else the last axis.
        bytes: usize,
        /// Bytes of an element asked for.
        new_item_bytes: usize,
    },
    /// A window is longer than its axis.
    #[error(
        "window of {window} is longer than axis {axis} of length {len}: expected at most {len}"
    )]
    WindowTooLong {
        /// The axis.
        axis: usize,
        /// What is left of its length (an axis can be windowed more than once).
        len: usize,
        /// The window's length.
        window: usize,
    },
    /// Windows and axes differ in number.
    #[error("expected one window length for each of {expected} axes, found {found}")]
    WindowCount {
        /// Axes to window.
        expected: usize,
        /// Lengths given.
        found: usize,
    },
    /// A split into no sections.
    #[error("cannot split into 0 sections: expected 1 or more")]
    NoSections,
}

/// Prints `(2, 3)`, `(2,)` and `()` as Python does.
struct Tuple<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Tuple<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tuple(f, self.0)
    }
}
