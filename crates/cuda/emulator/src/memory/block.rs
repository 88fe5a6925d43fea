//! One allocation of device memory.

use std::ops::Range;
use std::sync::Arc;

use super::access::Access;
use super::bits::Bits;
use crate::order::clock::{Clock, Stamp};

/// What bytes that nothing wrote read as.
const FRESH: u8 = 0xcb;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    Live,
    /// The free is queued.
    Freeing,
    Freed,
}

pub struct Block {
    pub device: usize,
    pub pool: Option<u64>,
    pub len: u64,
    pub life: Life,
    data: Vec<u8>,
    written: Bits,
    accesses: Vec<Access>,
}

impl Block {
    /// Fresh memory. Zeroed pages cost nothing until they are written, so `written` alone tells
    /// what is fresh.
    pub fn new(device: usize, pool: Option<u64>, len: u64) -> Block {
        let (data, written) = (vec![0; len as usize], Bits::new(len as usize));
        Block { device, pool, len, life: Life::Live, data, written, accesses: Vec::new() }
    }

    /// Makes the allocation itself something that later uses must come after.
    pub fn claim(&mut self, stamp: &Stamp) {
        self.accesses.push(Access::new(stamp, true, 0..self.len as usize));
    }

    pub fn end(&mut self) {
        self.life = Life::Freed;
        (self.data, self.written, self.accesses) = Default::default();
    }

    /// Notes an access; the operation it races with, if any.
    pub fn access(&mut self, stamp: &Stamp, is_write: bool, range: Range<usize>) -> Option<String> {
        let races = |other: &&Access| {
            (other.is_write || is_write)
                && other.stamp.id != stamp.id
                && !other.stamp.is_before(&stamp.clock)
                && other.meets(&range)
        };
        let race = self.accesses.iter().find(races).map(|other| other.stamp.by.to_string());
        let is_own = |other: &&mut Access| other.stamp.id == stamp.id && other.is_write == is_write;
        match self.accesses.iter_mut().rev().find(is_own) {
            Some(own) => own.add(self.len as usize, range),
            None => {
                self.accesses.retain(|other| !other.is_covered_by(stamp, is_write, &range));
                self.accesses.push(Access::new(stamp, is_write, range));
            }
        }
        race
    }

    /// Copies bytes out; the first that nothing wrote, if any.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Option<usize> {
        let range = offset..offset + into.len();
        into.copy_from_slice(&self.data[range.clone()]);
        let mut first = None;
        for unwritten in self.written.clear_in(range) {
            into[unwritten - offset] = FRESH;
            first = first.or(Some(unwritten));
        }
        first
    }

    pub fn write(&mut self, offset: usize, from: &[u8]) {
        let range = offset..offset + from.len();
        self.data[range.clone()].copy_from_slice(from);
        self.written.set(range);
    }

    pub fn user_not_before(&self, clock: &Clock) -> Option<String> {
        let mut users = self.accesses.iter().map(|access| &access.stamp);
        users.find(|stamp| !stamp.is_before(clock)).map(|stamp| stamp.by.to_string())
    }

    /// Whether accesses are left that may race with what is still to come.
    pub fn settle(&mut self, host: &Clock, queued: &[Arc<Clock>]) -> bool {
        self.accesses.retain(|access| {
            let is_before = |clock: &Clock| access.stamp.is_before(clock);
            !is_before(host) || queued.iter().any(|clock| !is_before(clock))
        });
        !self.accesses.is_empty()
    }
}
