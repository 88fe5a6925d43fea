//! Vector clocks.

use std::collections::BTreeMap;
use std::sync::Arc;

/// For each stream, how many of its operations have happened.
pub type Clock = BTreeMap<u64, u64>;

/// Makes `clock` know what `other` knows.
pub fn merge(clock: &mut Clock, other: &Clock) {
    for (stream, count) in other {
        let known = clock.entry(*stream).or_default();
        *known = (*known).max(*count);
    }
}

/// An operation: which one, where it runs, what happened before it.
#[derive(Clone)]
pub struct Stamp {
    /// Stream, and place in it, from 1.
    pub id: (u64, u64),
    pub by: Arc<str>,
    pub device: usize,
    /// A copy between devices, which needs no peer access.
    pub is_peer_copy: bool,
    pub clock: Arc<Clock>,
}

impl Stamp {
    /// Whether someone with this clock comes after the operation.
    pub fn is_before(&self, clock: &Clock) -> bool {
        clock.get(&self.id.0).is_some_and(|count| *count >= self.id.1)
    }
}
