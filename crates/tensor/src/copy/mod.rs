//! The copy engine: any layout to any layout, with or without a change of data type, in one pass.
//!
//! Two layouts become one [`Walk`](ndbridge_layout::Walk); then a schedule names one of the
//! [`kernels`] and how the work falls into parts ([`schedule`]).

#[expect(unsafe_code, reason = "hands borrowed memory to the kernels")]
mod assign;
mod choose;
#[expect(unsafe_code, reason = "runs the schedule of a copy")]
mod elements;
#[expect(unsafe_code, reason = "fills new memory and says that it is filled")]
mod fresh;
mod kernels;
mod level;
#[expect(unsafe_code, reason = "calls the kernel that it chose")]
mod schedule;
mod side;
#[expect(unsafe_code, reason = "moves few elements itself")]
mod small;
mod source;
mod swap;
#[cfg(test)]
#[expect(unsafe_code, reason = "runs schedules on vectors of its own")]
mod tests;
#[expect(unsafe_code, reason = "says what kernels ask of their callers, and calls them")]
mod work;

pub(crate) use fresh::gapless;
pub(crate) use source::Source;
