//! Copies and fills as the program asks for them.

use std::sync::Arc;

use crate::arguments::HostAddress;
use crate::code::{Code, INVALID_VALUE};
use crate::machine::Machine;
use crate::memory::region;
use crate::violation::Violation;
use crate::work::{Copy, Extent, Place, Side, Source, Work, checksum, gather};

/// The driver refuses longer rows of device memory: the attribute `MAX_PITCH`.
pub const MAX_PITCH: usize = i32::MAX as usize;

pub struct Request {
    pub by: &'static str,
    /// `None`: on the legacy default stream, and the host waits.
    pub stream: Option<u64>,
    pub to: Side,
    pub from: Side,
    pub extent: Extent,
    pub is_peer: bool,
}

impl Request {
    /// A copy of `len` bytes.
    pub fn flat(
        by: &'static str,
        stream: Option<u64>,
        to: Place,
        from: Place,
        len: usize,
    ) -> Request {
        let side = |place| Side { place, pitch: len, plane: len };
        let extent = Extent { width: len, height: 1, depth: 1 };
        Request { by, stream, to: side(to), from: side(from), extent, is_peer: false }
    }
}

impl Machine {
    /// Where an address of the unified space points. What is neither pinned nor a device's is
    /// taken for pageable memory.
    pub fn unified(&self, addr: u64) -> Place {
        if region::contains(addr) {
            Place::Device(addr)
        } else {
            Place::Host(HostAddress::in_pinned(addr as usize))
        }
    }

    /// An address that the program says is a device's: pinned and managed memory is reached where
    /// the host does.
    pub fn on_device(&self, addr: u64) -> Place {
        if self.memory.host.block(addr as usize, 1).is_some() {
            return Place::Host(HostAddress::in_pinned(addr as usize));
        }
        Place::Device(addr)
    }

    pub fn copy(&mut self, context: usize, request: Request) -> Result<(), Code> {
        let waits = request.stream.is_none();
        if waits {
            // Checked first: on the legacy default stream the answer is another.
            let legacy = self.contexts[context].legacy;
            self.legacy_in_capture(legacy)?;
            self.unsafe_in_capture(request.by)?;
        }
        let Request { by, to, from, extent, is_peer, .. } = request;
        if extent.bytes() == 0 {
            return Ok(());
        }
        let stream = self.stream(request.stream.unwrap_or(0), context)?;
        for side in [&to, &from] {
            self.check(by, context, side, extent, is_peer)?;
        }
        let is_captured = self.streams[&stream].capture.is_some();
        let is_pageable = [&to, &from].iter().any(|side| self.is_pageable(side, extent));
        if !waits && !is_captured && is_pageable {
            self.unsafe_in_capture("pageable copy")?;
        }
        let (source, sum) = self.source(from, extent, waits, is_captured);
        let copy = Copy { to, from: source, extent, sum, is_peer };
        let is_on_host_at_return = matches!(to.place, Place::Host(_))
            && (waits || self.is_pageable(&to, extent))
            || waits && matches!(from.place, Place::Host(_));
        let stamp = self.submit(stream, by, Work::Copy(copy))?;
        match stamp {
            Some(stamp) if is_on_host_at_return => self.join(stamp.id.0, stamp.id.1),
            _ => Ok(()),
        }
    }

    /// Pageable memory is read before the call returns; pinned memory when the copy runs, and must
    /// not change until then.
    fn source(
        &self,
        from: Side,
        extent: Extent,
        waits: bool,
        is_captured: bool,
    ) -> (Source, Option<u64>) {
        let Place::Host(host) = from.place else { return (Source::Side(from), None) };
        if is_captured {
            return (Source::Side(from), None);
        }
        if self.is_pageable(&from, extent) {
            return (Source::Staged(Arc::from(gather(host, from, extent))), None);
        }
        let sum = (!waits).then(|| checksum(&gather(host, from, extent)));
        (Source::Side(from), sum)
    }

    fn is_pageable(&self, side: &Side, extent: Extent) -> bool {
        let span = extent.span(side).unwrap_or(usize::MAX);
        match side.place {
            Place::Host(host) => self.memory.host.block(host.addr(), span).is_none(),
            Place::Device(_) => false,
        }
    }

    /// Refuses what the driver can see wrong before the work runs.
    fn check(
        &mut self,
        by: &str,
        context: usize,
        side: &Side,
        extent: Extent,
        is_peer: bool,
    ) -> Result<(), Code> {
        let span = extent.span(side).ok_or(INVALID_VALUE)?;
        let is_narrow = extent.height > 1 && side.pitch < extent.width;
        match side.place {
            _ if is_narrow => Err(INVALID_VALUE),
            Place::Host(host) if host.addr() == 0 || region::contains(host.addr() as u64) => {
                Err(INVALID_VALUE)
            }
            Place::Host(_) => Ok(()),
            Place::Device(_) if extent.height > 1 && side.pitch > MAX_PITCH => Err(INVALID_VALUE),
            Place::Device(addr) => {
                let device = self.contexts[context].device;
                match self.memory.wrong(by, device, addr, span as u64) {
                    Some(Violation::PeerAccess { .. }) if is_peer => Ok(()),
                    Some(violation) => {
                        self.violations.push(violation);
                        Err(INVALID_VALUE)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Fills `extent`, whose width counts units, from `addr` with rows `pitch` bytes apart.
    pub fn fill(
        &mut self,
        context: usize,
        by: &'static str,
        stream: Option<u64>,
        (addr, pitch): (u64, usize),
        unit: &[u8],
        (width, height): (usize, usize),
    ) -> Result<(), Code> {
        let width = width.checked_mul(unit.len()).ok_or(INVALID_VALUE)?;
        let extent = Extent { width, height, depth: 1 };
        if extent.bytes() == 0 {
            return Ok(());
        }
        let is_aligned = addr.is_multiple_of(unit.len() as u64)
            && (height == 1 || pitch.is_multiple_of(unit.len()));
        if !is_aligned {
            return Err(INVALID_VALUE);
        }
        let to = Side { place: self.on_device(addr), pitch, plane: 0 };
        self.check(by, context, &to, extent, false)?;
        let stream = self.stream(stream.unwrap_or(0), context)?;
        self.submit(stream, by, Work::Fill { to, unit: unit.to_vec(), extent }).map(drop)
    }
}
