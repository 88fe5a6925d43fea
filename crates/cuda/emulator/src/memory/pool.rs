//! Memory pools: what they keep, and who may reach it.

use std::collections::BTreeSet;

/// A count and the highest it has been.
#[derive(Default, Clone, Copy)]
pub struct Gauge {
    pub now: u64,
    pub high: u64,
}

impl Gauge {
    fn set(&mut self, now: u64) {
        self.now = now;
        self.high = self.high.max(now);
    }
}

#[derive(Default)]
pub struct Pool {
    pub device: usize,
    pub is_default: bool,
    /// The program has no handle any more.
    pub is_destroyed: bool,
    /// What a synchronisation leaves the pool.
    pub threshold: u64,
    /// Taken from the device.
    // INVARIANT: `used.now <= reserved.now`.
    pub reserved: Gauge,
    /// Given to the program.
    pub used: Gauge,
    /// Reuse policies, which change nothing here: attributes 1 to 3.
    pub policies: [i32; 3],
    open_to: BTreeSet<usize>,
}

impl Pool {
    pub fn new(device: usize, is_default: bool) -> Pool {
        Pool { device, is_default, policies: [1; 3], ..Pool::default() }
    }

    /// What the device must add for an allocation.
    pub fn growth_for(&self, len: u64) -> u64 {
        (self.used.now + len).saturating_sub(self.reserved.now)
    }

    pub fn take(&mut self, len: u64) {
        self.reserved.set(self.reserved.now + self.growth_for(len));
        self.used.set(self.used.now + len);
    }

    pub fn give_back(&mut self, len: u64) {
        self.used.set(self.used.now - len);
    }

    /// Returns to the device what is kept above `keep` bytes and not in use.
    pub fn trim(&mut self, keep: u64) {
        self.reserved.set(self.used.now.max(self.reserved.now.min(keep)));
    }

    pub fn set_access(&mut self, device: usize, is_open: bool) {
        if is_open {
            self.open_to.insert(device);
        } else {
            self.open_to.remove(&device);
        }
    }

    pub fn is_open_to(&self, device: usize) -> bool {
        device == self.device || self.open_to.contains(&device)
    }
}
