//! Who touched which bytes of an allocation.

use std::ops::Range;

use super::bits::Bits;
use crate::order::clock::Stamp;

/// What one operation touched of an allocation, reading or writing. Offsets count bytes.
pub struct Access {
    pub stamp: Stamp,
    pub is_write: bool,
    /// The smallest range that holds all.
    range: Range<usize>,
    /// The bytes within, where they are not all.
    bits: Option<Bits>,
}

impl Access {
    pub fn new(stamp: &Stamp, is_write: bool, range: Range<usize>) -> Access {
        Access { stamp: stamp.clone(), is_write, range, bits: None }
    }

    pub fn meets(&self, range: &Range<usize>) -> bool {
        let start = self.range.start.max(range.start);
        let end = self.range.end.min(range.end);
        start < end && self.bits.as_ref().is_none_or(|bits| bits.any(start..end))
    }

    /// Adds bytes that the same operation touches, of an allocation of `len_bytes`.
    pub fn add(&mut self, len_bytes: usize, range: Range<usize>) {
        let is_apart = range.start > self.range.end || range.end < self.range.start;
        if self.bits.is_none() && is_apart {
            let mut bits = Bits::new(len_bytes);
            bits.set(self.range.clone());
            self.bits = Some(bits);
        }
        if let Some(bits) = &mut self.bits {
            bits.set(range.clone());
        }
        self.range = self.range.start.min(range.start)..self.range.end.max(range.end);
    }

    /// Whether what races with this also races with a later access of `range` by `stamp`, which
    /// comes after it: then this one need not be kept.
    pub fn is_covered_by(&self, stamp: &Stamp, is_write: bool, range: &Range<usize>) -> bool {
        let is_within = range.start <= self.range.start && self.range.end <= range.end;
        is_within && (is_write || !self.is_write) && self.stamp.is_before(&stamp.clock)
    }
}
