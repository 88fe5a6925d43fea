//! Memory pools: what they keep, and who may reach it.

use std::collections::BTreeSet;

/// What a pool takes from its device at a time, where the device has so much.
const GRANULE_BYTES: u64 = 2 << 20;
/// What an allocation counts as is a multiple of this.
const ITEM_BYTES: u64 = 512;

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
    // INVARIANT: `given <= reserved.now`.
    pub reserved: Gauge,
    /// What the program has; of a free, until its call.
    pub given: u64,
    /// What the attributes tell of that: rounded up, and of a free until it has run.
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
        (self.given + len).saturating_sub(self.reserved.now)
    }

    /// Gives out what the device has room for: `free_bytes` are left there.
    pub fn take(&mut self, len: u64, free_bytes: u64) {
        let growth = self.growth_for(len).next_multiple_of(GRANULE_BYTES).min(free_bytes);
        self.reserved.set(self.reserved.now + growth);
        self.given += len;
        self.used.set(self.used.now + len.next_multiple_of(ITEM_BYTES));
    }

    /// The call of a free.
    pub fn give_back(&mut self, len: u64) {
        self.given -= len;
    }

    /// The free has run.
    pub fn freed(&mut self, len: u64) {
        self.used.set(self.used.now - len.next_multiple_of(ITEM_BYTES));
    }

    /// Returns to the device what is kept above `keep` bytes and not in use, as far as that goes in
    /// whole granules.
    pub fn trim(&mut self, keep: u64) {
        let least = self.given.max(keep).div_ceil(GRANULE_BYTES).saturating_mul(GRANULE_BYTES);
        self.reserved.set(self.reserved.now.min(least));
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
