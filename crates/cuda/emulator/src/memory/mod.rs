//! The devices' memory: whose it is, whether it may be touched, who touched it.

mod access;
mod bits;
mod block;
#[expect(unsafe_code, reason = "allocates pinned and managed memory")]
pub mod host;
pub mod pool;
#[expect(unsafe_code, reason = "reserves addresses")]
pub mod region;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::Violation;
use crate::code::{Code, INVALID_VALUE, OUT_OF_MEMORY};
use crate::order::clock::{Clock, Stamp};
use crate::promised::Promises;
pub use block::{Block, Life};
use host::HostMemory;
use pool::Pool;

/// Freed blocks that are remembered, to tell a use after free from a wild address.
const REMEMBERED: usize = 4096;

#[derive(Default, Clone, Copy)]
pub struct DeviceMemory {
    /// What the device was made with.
    pub total: usize,
    /// What it has now.
    pub limit: usize,
    /// Allocated outside the pools.
    plain: u64,
}

#[derive(Default)]
pub struct Memory {
    pub devices: Vec<DeviceMemory>,
    pub pools: BTreeMap<u64, Pool>,
    /// Pairs (device, peer) of which the first may touch plain memory of the second.
    pub peers: BTreeSet<(usize, usize)>,
    pub host: HostMemory,
    blocks: BTreeMap<u64, Block>,
    freed: VecDeque<u64>,
    /// Blocks with accesses that may still race.
    touched: BTreeSet<u64>,
    /// What graphs will write.
    pub promises: Promises,
    /// Whether pools give out freed addresses again.
    pub reuse_addresses: bool,
}

impl Memory {
    pub fn new(devices: &[usize]) -> Memory {
        let device = |bytes: &usize| DeviceMemory { total: *bytes, limit: *bytes, plain: 0 };
        Memory { devices: devices.iter().map(device).collect(), ..Memory::default() }
    }

    /// Allocates outside the pools.
    pub fn alloc(&mut self, device: usize, len: u64) -> Result<u64, Code> {
        if len == 0 {
            return Err(INVALID_VALUE);
        }
        if len > self.free_bytes(device) {
            return Err(OUT_OF_MEMORY);
        }
        let addr = region::reserve(len).ok_or(OUT_OF_MEMORY)?;
        self.devices[device].plain += len;
        self.blocks.insert(addr, Block::new(device, None, len));
        Ok(addr)
    }

    /// Allocates from a pool; whoever does not come after `stamp` races with the allocation.
    pub fn alloc_from(&mut self, pool: u64, len: u64, stamp: &Stamp) -> Result<u64, Code> {
        let device = self.pools.get(&pool).ok_or(INVALID_VALUE)?.device;
        if len == 0 {
            return Err(INVALID_VALUE);
        }
        let free_bytes = self.free_bytes(device);
        let from = self.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
        if from.growth_for(len) > free_bytes {
            return Err(OUT_OF_MEMORY);
        }
        from.take(len, free_bytes);
        let addr = match self.freed_before(pool, len) {
            Some(addr) => addr,
            None => region::reserve(len).ok_or(OUT_OF_MEMORY)?,
        };
        let mut block = Block::new(device, Some(pool), len);
        block.claim(stamp);
        self.blocks.insert(addr, block);
        self.touched.insert(addr);
        Ok(addr)
    }

    /// The address that the pool's next allocation of this length has again.
    fn freed_before(&mut self, pool: u64, len: u64) -> Option<u64> {
        if !self.reuse_addresses {
            return None;
        }
        let fits = |addr: &u64| {
            let block = self.blocks.get(addr);
            block.is_some_and(|block| (block.pool, block.len) == (Some(pool), len))
        };
        let at = self.freed.iter().rposition(fits)?;
        self.freed.remove(at)
    }

    /// What is neither allocated nor kept by a pool.
    pub fn free_bytes(&self, device: usize) -> u64 {
        let pools = self.pools.values().filter(|pool| pool.device == device);
        let kept: u64 = pools.map(|pool| pool.reserved.now).sum();
        (self.devices[device].limit as u64).saturating_sub(kept + self.devices[device].plain)
    }

    /// Bytes of live allocations.
    pub fn used(&self, device: usize) -> u64 {
        let pools = self.pools.values().filter(|pool| pool.device == device);
        self.devices[device].plain + pools.map(|pool| pool.given).sum::<u64>()
    }

    pub fn live(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.blocks.iter().filter(|(_, b)| b.life == Life::Live).map(|(addr, block)| (*addr, block))
    }

    /// The block around an address, if it was not freed.
    pub fn block(&self, addr: u64) -> Option<(u64, &Block)> {
        let (start, block) = self.blocks.range(..=addr).next_back()?;
        (block.life != Life::Freed && addr - start < block.len).then_some((*start, block))
    }

    /// The live block that starts at an address.
    pub fn starting_at(&self, addr: u64) -> Option<&Block> {
        self.blocks.get(&addr).filter(|block| block.life == Life::Live)
    }

    /// What the driver can see wrong in a range before its work runs.
    pub fn wrong(&self, by: &str, device: usize, addr: u64, len: u64) -> Option<Violation> {
        // Kernels come here for each element: no string without a violation.
        let Some((start, block)) = self.blocks.range(..=addr).next_back() else {
            return Some(Violation::OutOfBounds { by: by.to_owned(), addr, len });
        };
        if addr.checked_add(len).is_none_or(|end| end > start + block.len) {
            return Some(Violation::OutOfBounds { by: by.to_owned(), addr, len });
        }
        if block.life == Life::Freed {
            return Some(Violation::UseAfterFree { by: by.to_owned(), addr });
        }
        if self.may_reach(device, block) {
            return None;
        }
        Some(Violation::PeerAccess { by: by.to_owned(), addr, device, owner: block.device })
    }

    fn may_reach(&self, device: usize, block: &Block) -> bool {
        device == block.device
            || match block.pool {
                Some(pool) => self.pools.get(&pool).is_some_and(|pool| pool.is_open_to(device)),
                None => self.peers.contains(&(device, block.device)),
            }
    }

    /// The allocation whose reservation an address is in.
    pub fn reservation(&self, addr: u64) -> Option<(u64, &Block)> {
        let (start, block) = self.blocks.range(..=addr).next_back()?;
        let is_within = addr - start < region::reserved_bytes(block.len);
        (block.life != Life::Freed && is_within).then_some((*start, block))
    }

    /// A use of the block that the host has not seen finish.
    pub fn in_use(&self, addr: u64, host: &Clock) -> Option<String> {
        self.blocks.get(&addr)?.user_not_before(host)
    }

    /// Enters the free in the books. Its bytes stay until [`Memory::end`].
    pub fn begin_free(&mut self, addr: u64) -> Result<(), Code> {
        let block = self.blocks.get_mut(&addr).ok_or(INVALID_VALUE)?;
        if block.life != Life::Live {
            return Err(INVALID_VALUE);
        }
        block.life = Life::Freeing;
        match block.pool.and_then(|pool| self.pools.get_mut(&pool)) {
            Some(pool) => pool.give_back(block.len),
            None => self.devices[block.device].plain -= block.len,
        }
        Ok(())
    }

    /// Ends a block: a write to all of it, then nothing may touch it.
    pub fn end(&mut self, addr: u64, stamp: Option<&Stamp>, found: &mut Vec<Violation>) {
        if let Some(stamp) = stamp
            && let Some(len) = self.blocks.get(&addr).map(|block| block.len)
        {
            let free = Stamp { is_peer_copy: true, ..stamp.clone() };
            self.touch(addr, len, true, &free, found);
        }
        let Some(block) = self.blocks.get_mut(&addr) else { return };
        if let Some(pool) = block.pool.and_then(|pool| self.pools.get_mut(&pool)) {
            pool.freed(block.len);
        }
        block.end();
        self.promises.remove(&(addr..addr + block.len));
        self.touched.remove(&addr);
        self.freed.push_back(addr);
        if self.freed.len() > REMEMBERED
            && let Some(oldest) = self.freed.pop_front()
        {
            self.blocks.remove(&oldest);
        }
    }

    /// The block of a range, if that may be touched now. Notes the access, looks for races.
    fn touch(
        &mut self,
        addr: u64,
        len: u64,
        is_write: bool,
        stamp: &Stamp,
        found: &mut Vec<Violation>,
    ) -> Option<(&mut Block, usize)> {
        if let Some(violation) = self.wrong(&stamp.by, stamp.device, addr, len)
            && !(stamp.is_peer_copy && matches!(violation, Violation::PeerAccess { .. }))
        {
            found.push(violation);
            return None;
        }
        let (start, block) = self.blocks.range_mut(..=addr).next_back()?;
        let offset = (addr - start) as usize;
        let race = block.access(stamp, is_write, offset..offset + len as usize);
        if let Some(first) = race {
            note_race(found, Violation::Race { first, second: stamp.by.to_string(), addr });
        }
        self.touched.insert(*start);
        Some((block, offset))
    }

    pub fn read(
        &mut self,
        addr: u64,
        into: &mut [u8],
        stamp: &Stamp,
        found: &mut Vec<Violation>,
    ) -> bool {
        // Kernels come here for each element: most often nothing is promised.
        if !self.promises.all.is_empty() {
            self.check_promises(addr, into.len() as u64, &stamp.by, found);
        }
        let touched = self.touch(addr, into.len() as u64, false, stamp, found);
        let Some((block, offset)) = touched else { return false };
        if let Some(unwritten) = block.read(offset, into) {
            let addr = addr + (unwritten - offset) as u64;
            note_unwritten(found, Violation::Uninitialised { by: stamp.by.to_string(), addr });
        }
        true
    }

    pub fn write(
        &mut self,
        addr: u64,
        from: &[u8],
        stamp: &Stamp,
        found: &mut Vec<Violation>,
    ) -> bool {
        let touched = self.touch(addr, from.len() as u64, true, stamp, found);
        let Some((block, offset)) = touched else { return false };
        block.write(offset, from);
        if !self.promises.all.is_empty() {
            self.promises.remove(&(addr..addr + from.len() as u64));
        }
        true
    }

    /// Reports a read of bytes that a graph is still to write.
    pub fn check_promises(&self, addr: u64, len: u64, by: &str, found: &mut Vec<Violation>) {
        let Some((writer, addr)) = self.promises.writer(&(addr..addr + len)) else { return };
        let (by, writer) = (by.to_owned(), writer.to_owned());
        let read = Violation::ReadBeforeGraph { by, addr, writer };
        if !found.iter().any(|other| is_same_read(other, &read)) {
            found.push(read);
        }
    }

    /// Forgets the accesses that are before everything still to come: what the host submits from
    /// now on, and what is queued.
    pub fn settle(&mut self, host: &Clock, queued: &[Arc<Clock>]) {
        let blocks = &mut self.blocks;
        self.touched.retain(|addr| blocks.get_mut(addr).is_some_and(|b| b.settle(host, queued)));
    }

    /// At a synchronisation each pool gives back what it keeps above its threshold.
    pub fn release_unused(&mut self) {
        for pool in self.pools.values_mut() {
            pool.trim(pool.threshold);
        }
    }
}

/// Whether one operation read early what another one writes.
fn is_same_read(one: &Violation, other: &Violation) -> bool {
    let operations = |violation: &Violation| match violation {
        Violation::ReadBeforeGraph { by, writer, .. } => Some((by.clone(), writer.clone())),
        _ => None,
    };
    operations(one) == operations(other)
}

/// A race between the same two operations is reported once.
fn note_race(found: &mut Vec<Violation>, race: Violation) {
    let operations = |violation: &Violation| match violation {
        Violation::Race { first, second, .. } => Some((first.clone(), second.clone())),
        _ => None,
    };
    let this = operations(&race);
    if !found.iter().any(|other| operations(other) == this) {
        found.push(race);
    }
}

/// An operation's read of unwritten bytes is reported once.
fn note_unwritten(found: &mut Vec<Violation>, read: Violation) {
    let reader = |violation: &Violation| match violation {
        Violation::Uninitialised { by, .. } => Some(by.clone()),
        _ => None,
    };
    let this = reader(&read);
    if !found.iter().rev().any(|other| reader(other) == this) {
        found.push(read);
    }
}
