//! Host memory that the devices reach: pinned, registered, managed.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;

use crate::code::{
    Code, HOST_MEMORY_ALREADY_REGISTERED, HOST_MEMORY_NOT_REGISTERED, INVALID_VALUE, OUT_OF_MEMORY,
};

const PAGE_BYTES: usize = 4096;
const FRESH: u8 = 0xcb;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Allocated by the driver, pinned.
    Pinned,
    /// The program's own, pinned while it is registered.
    Registered,
    /// Moves between host and devices; here it stays on the host.
    Managed,
}

pub struct HostBlock {
    pub len: usize,
    pub kind: Kind,
    pub flags: u32,
    pub device: usize,
    pub context: u64,
}

#[derive(Default)]
pub struct HostMemory {
    blocks: BTreeMap<usize, HostBlock>,
}

impl HostMemory {
    /// The block that holds these bytes, and its start.
    pub fn block(&self, addr: usize, len: usize) -> Option<(usize, &HostBlock)> {
        let (start, block) = self.blocks.range(..=addr).next_back()?;
        let end = addr.checked_add(len)?;
        (end <= start + block.len && addr < start + block.len).then_some((*start, block))
    }

    pub fn alloc(&mut self, block: HostBlock) -> Result<usize, Code> {
        let layout = layout(block.len)?;
        // SAFETY: the layout has a size.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return Err(OUT_OF_MEMORY);
        }
        // SAFETY: just allocated with this size.
        unsafe { start.write_bytes(FRESH, block.len) };
        self.blocks.insert(start as usize, block);
        Ok(start as usize)
    }

    pub fn free(&mut self, start: usize, kind: Kind) -> Result<(), Code> {
        let block = self.blocks.get(&start).filter(|block| block.kind == kind);
        let layout = layout(block.ok_or(INVALID_VALUE)?.len)?;
        self.blocks.remove(&start);
        // SAFETY: allocated by `alloc` with the layout of this length, and no longer in the list.
        unsafe { dealloc(start as *mut u8, layout) };
        Ok(())
    }

    pub fn register(&mut self, start: usize, block: HostBlock) -> Result<(), Code> {
        if start == 0 || block.len == 0 {
            return Err(INVALID_VALUE);
        }
        let end = start.checked_add(block.len).ok_or(INVALID_VALUE)?;
        let before = self.blocks.range(..end).next_back();
        if before.is_some_and(|(other, block)| other + block.len > start) {
            return Err(HOST_MEMORY_ALREADY_REGISTERED);
        }
        self.blocks.insert(start, block);
        Ok(())
    }

    pub fn unregister(&mut self, start: usize) -> Result<(), Code> {
        match self.blocks.get(&start) {
            Some(block) if block.kind == Kind::Registered => {
                self.blocks.remove(&start);
                Ok(())
            }
            _ => Err(HOST_MEMORY_NOT_REGISTERED),
        }
    }
}

fn layout(len: usize) -> Result<Layout, Code> {
    if len == 0 {
        return Err(INVALID_VALUE);
    }
    Layout::from_size_align(len, PAGE_BYTES).map_err(|_| OUT_OF_MEMORY)
}
