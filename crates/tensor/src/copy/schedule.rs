//! Which kernel copies the elements of a walk, and how the copy falls into parts.

use std::ops::Range;

use ndbridge_layout::{Walk, WalkAxes, WalkAxis, WalkCursor};

use super::choose::{Choice, by_distance, choose, choose_cast, choose_general, stage, widen};
use super::kernels;
use super::level::Level;
use super::side::Side;
use super::work::{Kernel, Work};
use crate::team;

/// Results from this size on are written past the caches.
///
/// A plain store reads its cache line first, a streamed one does not; but who reads the result at
/// once finds it in memory only. Measured with a reader: at 4 MB streaming takes 1.6 times as long, at
/// 16 MB 0.86 times.
pub(super) const STREAM_FROM_BYTES: usize = 12 << 20;

/// Results from this size on are written by several threads, if there are several.
///
/// A helper that still looks for work comes at once, one that sleeps after 5 to 50 us, in which one
/// thread copies half a megabyte. At 1 MB the copy gains a third, and who reads the result at once loses
/// as much: half of it lies in the cache of another core.
pub(super) const SHARED_FROM_BYTES: usize = 2 << 20;

/// Times that each thread comes for more work: often enough that one without a core holds nobody up.
const TURNS: usize = 16;

/// Parts have about this size: enough to be worth handing to another thread.
const PART_BYTES: usize = 64 << 10;

/// What a schedule depends on besides the layouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) level: Level,
    pub(super) stream_from_bytes: usize,
    pub(super) shared_from_bytes: usize,
}

impl Tuning {
    pub(super) fn of_this_machine() -> Self {
        Self {
            level: Level::best(),
            stream_from_bytes: STREAM_FROM_BYTES,
            shared_from_bytes: SHARED_FROM_BYTES,
        }
    }
}

/// Fewer bytes than this are moved one by one: the other kernels begin with tables of masks.
const FEW_BYTES: usize = 128;

/// A copy that is decided on: calls of one kernel, one for each index of the outer axes.
///
/// Each call can be split along one axis. So the whole falls into `parts`, which write different
/// elements and can run in any order, each on any thread.
pub(super) struct Schedule {
    name: &'static str,
    kernel: Kernel,
    work: Work,
    source: *const u8,
    destination: *mut u8,
    outer: WalkAxes,
    /// Length of the axis that splits.
    units: usize,
    /// Units of a part.
    grain: usize,
    /// The work is worth several threads.
    is_shared: bool,
}

impl Schedule {
    /// The schedule for the elements of `walk`, from one side to the other.
    pub(super) fn new(walk: Walk, from: Side<'_>, to: Side<'_>, tuning: Tuning) -> Self {
        let mut source = from.ptr.cast_const().wrapping_offset(walk.source_start);
        let mut destination = to.ptr.wrapping_offset(walk.destination_start);
        let (mut axes, from, to) = (walk.into_axes(), from.dtype, to.dtype);
        let elements: usize = axes.iter().map(|axis| axis.len).product();
        let bytes = elements * to.item_bytes();
        let mut item_bytes = from.item_bytes();
        let choice = if from == to {
            widen(&mut axes, &mut item_bytes);
            let item = item_bytes as isize;
            let is_dense = |axis: &WalkAxis| axis.source == item && axis.destination == item;
            if bytes < FEW_BYTES && !axes.iter().all(is_dense) {
                choose_general(&mut axes, item_bytes)
            } else {
                choose(&mut axes, &mut source, &mut destination, item_bytes, tuning.level)
            }
        } else {
            choose_cast(&mut axes, &mut source, &mut destination, (from, to), tuning.level)
        };
        let stream = bytes >= tuning.stream_from_bytes;
        let (choice, stage) = if stream {
            stage(&mut axes, choice, item_bytes, tuning.level)
        } else {
            (choice, None)
        };
        let Choice { name, kernel, row, col, units, whole_units, cast } = choice;
        by_distance(&mut axes);
        let work = Work { row, col, item_bytes, stream, cast, stage };
        let calls: usize = axes.iter().map(|axis| axis.len).product();
        let unit_bytes = (bytes / calls / units).max(1);
        let grain = (PART_BYTES / unit_bytes).max(1).next_multiple_of(whole_units);
        let is_shared = bytes >= tuning.shared_from_bytes;
        Self { name, kernel, work, source, destination, outer: axes, units, grain, is_shared }
    }

    /// The name of the kernel.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn parts_of_call(&self) -> usize {
        self.units.div_ceil(self.grain)
    }

    /// Into how many parts the copy falls.
    pub(super) fn parts(&self) -> usize {
        self.outer.iter().map(|axis| axis.len).product::<usize>() * self.parts_of_call()
    }

    /// Copies everything.
    ///
    /// # Safety
    /// The source is readable, the destination writable, both by this thread alone or by others that
    /// run other parts.
    pub(super) unsafe fn run(&self) {
        if self.is_shared && team::num_threads() > 1 {
            // SAFETY: promised by the caller.
            return unsafe { self.run_by_team() };
        }
        if self.outer.is_empty() {
            // SAFETY: the only call, promised by the caller.
            unsafe { self.call(self.source, self.destination, 0..self.units) };
            self.settle();
        } else {
            // SAFETY: promised by the caller.
            unsafe { self.run_parts(0..self.parts()) };
        }
    }

    /// Copies everything, on as many threads as help.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_by_team(&self) {
        let parts = self.parts();
        let turns = parts.min(team::num_threads() * TURNS);
        let lent = Lent(self);
        team::run(turns, &move |turn| {
            let parts = parts * turn / turns..parts * (turn + 1) / turns;
            // SAFETY: promised by the caller; turns have no part in common.
            unsafe { lent.schedule().run_parts(parts) };
        });
    }

    /// Copies the parts of the range.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub(super) unsafe fn run_parts(&self, parts: Range<usize>) {
        let per_call = self.parts_of_call();
        let mut cursor = WalkCursor::at(&self.outer, parts.start / per_call);
        let start = cursor.offsets(&self.outer);
        let mut from = self.source.wrapping_offset(start.0);
        let mut to = self.destination.wrapping_offset(start.1);
        let mut part = parts.start;
        while part < parts.end {
            let first = part % per_call;
            let count = (per_call - first).min(parts.end - part);
            let units = first * self.grain..self.units.min((first + count) * self.grain);
            // SAFETY: a part of a call at an index of the outer axes, promised by the caller.
            unsafe { self.call(from, to, units) };
            part += count;
            let step = cursor.advance(&self.outer);
            (from, to) = (from.wrapping_offset(step.0), to.wrapping_offset(step.1));
        }
        self.settle();
    }

    /// # Safety
    /// As [`run`](Self::run), for a part of the call that begins at these addresses.
    #[inline]
    unsafe fn call(&self, source: *const u8, destination: *mut u8, units: Range<usize>) {
        // SAFETY: promised by the caller.
        unsafe { self.work.by(self.kernel, source, destination, units) }
    }

    fn settle(&self) {
        if self.work.stream {
            kernels::settle();
        }
    }
}

/// A schedule whose parts several threads run.
#[derive(Clone, Copy)]
struct Lent<'s>(&'s Schedule);

// SAFETY: a schedule is not changed; that its memory may be used by several threads at once, those who
// run parts of it promise.
unsafe impl Send for Lent<'_> {}
// SAFETY: as above.
unsafe impl Sync for Lent<'_> {}

impl<'s> Lent<'s> {
    fn schedule(self) -> &'s Schedule {
        self.0
    }
}
