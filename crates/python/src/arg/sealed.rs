//! What an argument's types promise is relied on: nobody else implements their traits.

pub trait DTypes {}
pub trait Axes {}
pub trait Constraint {}
