#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod axes;
mod broadcast;
mod contiguous;
mod error;
mod extent;
mod index;
mod layout;
mod nested;
mod offsets;
mod overlap;
mod region;
mod reinterpret;
mod reshape;
mod shape;
mod size;
mod slice;
mod split;
mod tuple;
mod view;
mod walk;
mod windows;

pub use broadcast::broadcast_shapes;
pub use contiguous::{Order, fill_contiguous_strides, is_packed};
pub use error::LayoutError;
pub use extent::extent;
pub use index::Index;
pub use layout::Layout;
pub use nested::is_nested;
pub use offsets::Offsets;
pub use overlap::{DEFAULT_BUDGET, Overlap, footprints_overlap, may_overlap, reaches_a_byte_twice};
pub use region::{Axis, Footprint, Region, RegionError, Span};
pub use shape::MAX_NDIM;
pub use size::saturating_len;
pub use split::{Parts, Split};
pub use tuple::write_tuple;
#[doc(hidden)]
pub use walk::WalkAxes;
pub use walk::{Walk, WalkAxis, WalkCursor};
