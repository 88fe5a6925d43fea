//! What a stream does: copies, fills, kernels, frees, events, functions of the host.

use std::any::Any;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};
use std::iter;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndbridge_cuda_kernels::host::{self, Kernel};

use crate::arguments::{HostAddress, HostFunction};
use crate::code::{Code, ILLEGAL_ADDRESS, LAUNCH_FAILED};
use crate::machine::Machine;
use crate::memory::{Memory, region};
use crate::order::clock::Stamp;
use crate::order::stream::Operation;
use crate::violation::Violation;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Device(u64),
    Host(HostAddress),
}

/// One end of a copy, in bytes.
#[derive(Clone, Copy)]
pub struct Side {
    pub place: Place,
    /// From row to row.
    pub pitch: usize,
    /// From plane to plane.
    pub plane: usize,
}

/// Bytes of a row, rows of a plane, planes.
#[derive(Clone, Copy)]
pub struct Extent {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

impl Extent {
    pub fn bytes(self) -> usize {
        self.width * self.height * self.depth
    }

    /// The bytes from the first to the last of a side; `None` if they are too many.
    pub fn span(self, side: &Side) -> Option<usize> {
        let planes = side.plane.checked_mul(self.depth.checked_sub(1)?)?;
        let rows = side.pitch.checked_mul(self.height.checked_sub(1)?)?;
        planes.checked_add(rows)?.checked_add(self.width)
    }

    /// Where the rows of a side start.
    fn rows(self, side: Side) -> impl Iterator<Item = usize> {
        let planes = (0..self.depth).map(move |plane| plane * side.plane);
        planes.flat_map(move |start| (0..self.height).map(move |row| start + row * side.pitch))
    }

    /// The same bytes of a side as a single row, where they lie side by side.
    fn flattened(self, side: Side) -> Extent {
        let is_flat = (self.height == 1 || side.pitch == self.width)
            && (self.depth == 1 || side.plane == self.width * self.height);
        if is_flat { Extent { width: self.bytes(), height: 1, depth: 1 } } else { self }
    }
}

#[derive(Clone)]
pub enum Source {
    Side(Side),
    /// Pageable memory, read when the copy was asked for.
    Staged(Arc<[u8]>),
}

#[derive(Clone)]
pub struct Copy {
    pub to: Side,
    pub from: Source,
    pub extent: Extent,
    /// Of the pinned source when the copy was asked for.
    pub sum: Option<u64>,
    pub is_peer: bool,
}

#[derive(Clone)]
pub struct Launch {
    pub kernel: &'static Kernel,
    pub grid: [u32; 3],
    pub threads: u32,
    pub shared_bytes: usize,
    // INVARIANT: one for each parameter, of the size that the kernel declares.
    pub arguments: Vec<Vec<u8>>,
}

#[derive(Clone)]
pub enum Work {
    Copy(Copy),
    Fill {
        to: Side,
        unit: Vec<u8>,
        extent: Extent,
    },
    Launch(Launch),
    Free(u64),
    Event {
        event: u64,
        version: u64,
    },
    Host(HostFunction, usize),
    /// What another library reads and writes.
    Read {
        addr: u64,
        len: u64,
    },
    Write {
        addr: u64,
        len: u64,
        value: u8,
    },
    /// A graph begins, and what was promised of it comes.
    Graph(u64),
    Nothing,
}

impl Work {
    /// Whether it uses any of these bytes; of a kernel, whether a parameter points there.
    pub fn uses(&self, start: u64, len: u64) -> bool {
        let meets = |side: &Side, extent: &Extent| {
            let at = match side.place {
                Place::Device(addr) => addr,
                Place::Host(host) => host.addr() as u64,
            };
            extent.span(side).is_some_and(|span| at < start + len && start < at + span as u64)
        };
        match self {
            Work::Copy(Copy { to, from: Source::Side(from), extent, .. }) => {
                meets(to, extent) || meets(from, extent)
            }
            Work::Copy(Copy { to, extent, .. }) | Work::Fill { to, extent, .. } => {
                meets(to, extent)
            }
            Work::Launch(launch) => {
                let words = launch.arguments.iter().flat_map(|bytes| bytes.as_chunks::<8>().0);
                let mut words = words.map(|word| u64::from_le_bytes(*word));
                words.any(|word| (start..start + len).contains(&word))
            }
            Work::Read { addr, len } | Work::Write { addr, len, .. } => {
                *addr < start + len && start < addr + len
            }
            Work::Free(_) | Work::Event { .. } | Work::Host(..) => false,
            Work::Graph(_) | Work::Nothing => false,
        }
    }
}

/// A copy's bytes on the host, row behind row.
pub fn gather(host: HostAddress, side: Side, extent: Extent) -> Vec<u8> {
    let mut packed = vec![0; extent.bytes()];
    let extent = extent.flattened(side);
    for (row, start) in packed.chunks_exact_mut(extent.width).zip(extent.rows(side)) {
        host.plus(start).read(row);
    }
    packed
}

pub fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Machine {
    /// Runs one operation.
    pub fn perform(&mut self, operation: &Operation) -> Result<(), Code> {
        let stamp = &operation.stamp;
        let is_fine = match &operation.work {
            Work::Read { addr, len } => {
                let mut bytes = vec![0; *len as usize];
                self.memory.read(*addr, &mut bytes, stamp, &mut self.violations)
            }
            Work::Write { addr, len, value } => {
                let bytes = vec![*value; *len as usize];
                self.memory.write(*addr, &bytes, stamp, &mut self.violations)
            }
            Work::Graph(capture) => {
                self.memory.promises.forget(*capture);
                true
            }
            // A function of the program is called on a thread of its own.
            Work::Nothing | Work::Host(..) => true,
            Work::Copy(copy) => self.perform_copy(copy, stamp),
            Work::Fill { to, unit, extent } => {
                let row = unit.repeat(extent.bytes() / unit.len());
                self.scatter(*to, *extent, &row, stamp)
            }
            Work::Launch(launch) => return self.perform_launch(launch, stamp),
            Work::Free(addr) => {
                self.memory.end(*addr, Some(stamp), &mut self.violations);
                true
            }
            Work::Event { event, version } => {
                self.happen(*event, *version);
                true
            }
        };
        if is_fine { Ok(()) } else { Err(ILLEGAL_ADDRESS) }
    }

    fn happen(&mut self, event: u64, version: u64) {
        self.tick += 1;
        if let Some(event) = self.events.get_mut(&event) {
            event.happened = Some((version, self.tick));
        }
    }

    fn perform_copy(&mut self, copy: &Copy, stamp: &Stamp) -> bool {
        match &copy.from {
            Source::Staged(bytes) => self.scatter(copy.to, copy.extent, bytes, stamp),
            Source::Side(from) => match self.collect(*from, copy, stamp) {
                Some(bytes) => self.scatter(copy.to, copy.extent, &bytes, stamp),
                None => false,
            },
        }
    }

    fn collect(&mut self, from: Side, copy: &Copy, stamp: &Stamp) -> Option<Vec<u8>> {
        let addr = match from.place {
            Place::Device(addr) => addr,
            Place::Host(host) => {
                let bytes = gather(host, from, copy.extent);
                self.memory.check_promises(
                    host.addr() as u64,
                    bytes.len() as u64,
                    &stamp.by,
                    &mut self.violations,
                );
                if copy.sum.is_some_and(|sum| sum != checksum(&bytes)) {
                    self.violations.push(Violation::SourceChanged { by: stamp.by.to_string() });
                }
                return Some(bytes);
            }
        };
        let mut packed = vec![0; copy.extent.bytes()];
        let extent = copy.extent.flattened(from);
        for (row, start) in packed.chunks_exact_mut(extent.width).zip(extent.rows(from)) {
            if !self.memory.read(addr + start as u64, row, stamp, &mut self.violations) {
                return None;
            }
        }
        Some(packed)
    }

    fn scatter(&mut self, to: Side, extent: Extent, packed: &[u8], stamp: &Stamp) -> bool {
        let extent = extent.flattened(to);
        let mut rows = packed.chunks_exact(extent.width).zip(extent.rows(to));
        rows.all(|(row, start)| match to.place {
            Place::Host(host) => {
                host.plus(start).write(row);
                true
            }
            Place::Device(addr) => {
                self.memory.write(addr + start as u64, row, stamp, &mut self.violations)
            }
        })
    }

    /// The bytes that work will write, of a kernel found by running it on nothing: which bytes
    /// our kernels touch depends on their parameters alone.
    pub fn written_by(&self, work: &Work) -> Vec<Range<u64>> {
        let of_side = |to: &Side, extent: &Extent| {
            let start = match to.place {
                Place::Device(addr) => addr,
                Place::Host(host) => host.addr() as u64,
            };
            let extent = extent.flattened(*to);
            let rows = extent.rows(*to).map(|row| start + row as u64);
            rows.map(|row| row..row + extent.width as u64).collect()
        };
        match work {
            Work::Copy(Copy { to, extent, .. }) | Work::Fill { to, extent, .. } => {
                of_side(to, extent)
            }
            Work::Write { addr, len, .. } => iter::once(*addr..addr + len).collect(),
            Work::Launch(launch) => {
                let written = Written::default();
                // One that panics does so again when it runs, and is reported then.
                let _ = launch.run(&written);
                written.0.into_inner()
            }
            _ => Vec::new(),
        }
    }

    fn perform_launch(&mut self, launch: &Launch, stamp: &Stamp) -> Result<(), Code> {
        let Machine { memory, violations, .. } = self;
        let view = View { inner: RefCell::new(Inner { memory, violations, is_fine: true }), stamp };
        let outcome = launch.run(&view);
        let is_fine = view.inner.into_inner().is_fine;
        if let Err(payload) = outcome {
            let (by, text) = (stamp.by.to_string(), panic_text(&*payload));
            self.violations.push(Violation::KernelPanic { by, text });
            return Err(LAUNCH_FAILED);
        }
        if is_fine { Ok(()) } else { Err(ILLEGAL_ADDRESS) }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic").to_owned()
}

impl Launch {
    /// Runs each thread; the panic of one.
    fn run(&self, memory: &dyn host::Memory) -> Result<(), Box<dyn Any + Send>> {
        let arguments: Vec<_> = self.arguments.iter().map(|bytes| bytes.as_ptr()).collect();
        let Launch { kernel, grid, threads, shared_bytes, .. } = self;
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: a pointer for each parameter, of its size (the launch's invariant).
            unsafe { kernel.run(*grid, *threads, *shared_bytes, &arguments, memory) }
        }))
    }
}

/// Memory of zeros that keeps what is written of it: which bytes.
#[derive(Default)]
struct Written(RefCell<Vec<Range<u64>>>);

impl host::Memory for Written {
    fn read(&self, _addr: u64, into: &mut [u8]) -> bool {
        into.fill(0);
        true
    }

    fn write(&self, addr: u64, from: &[u8]) -> bool {
        let (mut written, end) = (self.0.borrow_mut(), addr + from.len() as u64);
        match written.last_mut() {
            Some(last) if last.end == addr => last.end = end,
            _ => written.push(addr..end),
        }
        true
    }
}

/// The memory as one kernel sees it.
struct View<'a> {
    inner: RefCell<Inner<'a>>,
    stamp: &'a Stamp,
}

struct Inner<'a> {
    memory: &'a mut Memory,
    violations: &'a mut Vec<Violation>,
    is_fine: bool,
}

impl Inner<'_> {
    /// Pinned and managed memory, which kernels reach where the host does.
    fn on_host(&self, addr: u64, len: usize) -> Option<HostAddress> {
        let is_host =
            !region::contains(addr) && self.memory.host.block(addr as usize, len).is_some();
        is_host.then(|| HostAddress::in_pinned(addr as usize))
    }
}

impl host::Memory for View<'_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(host) = inner.on_host(addr, into.len()) {
            host.read(into);
            return true;
        }
        let is_fine = inner.memory.read(addr, into, self.stamp, inner.violations);
        inner.is_fine &= is_fine;
        is_fine
    }

    fn write(&self, addr: u64, from: &[u8]) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(host) = inner.on_host(addr, from.len()) {
            host.write(from);
            return true;
        }
        let is_fine = inner.memory.write(addr, from, self.stamp, inner.violations);
        inner.is_fine &= is_fine;
        is_fine
    }
}
