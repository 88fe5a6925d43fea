//! Which kernel copies a pair of layouts, and how the copy falls into parts.

use std::ops::Range;

use ndbridge_dtype::DType;
use smallvec::SmallVec;

use super::kernels;
use super::level::Level;
use super::pair::{Axis, Pair};
use super::work::{Cast, Work};

/// Results from this size on are written past the caches.
///
/// A plain store reads its cache line first, a streamed one does not; but who reads the result at
/// once finds it in memory only. Measured with a reader: at 4 MB streaming takes 1.6 times as long, at
/// 16 MB 0.86 times.
pub(super) const STREAM_FROM_BYTES: usize = 12 << 20;

/// Parts have about this size: enough to be worth handing to another thread.
const PART_BYTES: usize = 64 << 10;

/// Does a part of the work: the elements of the range of the axis that the plan splits.
///
/// # Safety
/// With the steps of the axes, both pointers reach live elements of the data types that the kernel
/// was chosen for; those behind the second may be written, and nobody else reaches them meanwhile.
pub(super) type Kernel = unsafe fn(&Work, *const u8, *mut u8, Range<usize>);

/// What a plan depends on besides the layouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) level: Level,
    pub(super) stream_from_bytes: usize,
}

impl Tuning {
    pub(super) fn of_this_machine() -> Self {
        Self { level: Level::best(), stream_from_bytes: STREAM_FROM_BYTES }
    }
}

/// A copy that is decided on: calls of one kernel, one for each index of the outer axes.
///
/// Each call can be split along one axis. So the whole falls into `parts`, which write different
/// elements and can run in any order, each on any thread.
pub(super) struct Plan {
    name: &'static str,
    kernel: Kernel,
    work: Work,
    source: *const u8,
    destination: *mut u8,
    outer: SmallVec<[Axis; 4]>,
    /// Length of the axis that splits.
    units: usize,
    /// Units of a part.
    grain: usize,
}

/// A kernel, and which axes it takes.
struct Choice {
    name: &'static str,
    kernel: Kernel,
    row: Axis,
    col: Axis,
    units: usize,
    /// Parts begin at multiples of this.
    whole_units: usize,
    cast: Option<Cast>,
}

impl Plan {
    /// The plan for elements of `from`, converted to `to`.
    pub(super) fn new(pair: Pair, from: DType, to: DType, tuning: Tuning) -> Self {
        let Pair { mut source, mut destination, mut axes } = pair;
        let elements: usize = axes.iter().map(|axis| axis.len).product();
        let bytes = elements * to.item_bytes();
        let mut item_bytes = from.item_bytes();
        let choice = if from == to {
            widen(&mut axes, &mut item_bytes);
            choose(&mut axes, &mut source, &mut destination, item_bytes, tuning.level)
        } else {
            choose_cast(&mut axes, &mut source, &mut destination, (from, to), tuning.level)
        };
        let Choice { name, kernel, row, col, units, whole_units, cast } = choice;
        let stream = bytes >= tuning.stream_from_bytes;
        let calls: usize = axes.iter().map(|axis| axis.len).product();
        let unit_bytes = (bytes / calls / units).max(1);
        let grain = (PART_BYTES / unit_bytes).max(1).next_multiple_of(whole_units);
        let work = Work { row, col, item_bytes, stream, cast };
        Self { name, kernel, work, source, destination, outer: axes, units, grain }
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
        if self.outer.is_empty() {
            // SAFETY: the only call, promised by the caller.
            unsafe { (self.kernel)(&self.work, self.source, self.destination, 0..self.units) };
            self.settle();
        } else {
            // SAFETY: promised by the caller.
            unsafe { self.run_parts(0..self.parts()) };
        }
    }

    /// Copies the parts of the range.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub(super) unsafe fn run_parts(&self, parts: Range<usize>) {
        let per_call = self.parts_of_call();
        let mut walk = Walk::from(self, parts.start / per_call);
        let mut part = parts.start;
        while part < parts.end {
            let first = part % per_call;
            let count = (per_call - first).min(parts.end - part);
            let units = first * self.grain..self.units.min((first + count) * self.grain);
            // SAFETY: a part of a call at an index of the outer axes, promised by the caller.
            unsafe { (self.kernel)(&self.work, walk.source, walk.destination, units) };
            part += count;
            walk.advance(&self.outer);
        }
        self.settle();
    }

    fn settle(&self) {
        if self.work.stream {
            kernels::settle();
        }
    }
}

/// Where a call of the kernel begins.
struct Walk {
    source: *const u8,
    destination: *mut u8,
    index: SmallVec<[usize; 4]>,
}

impl Walk {
    fn from(plan: &Plan, call: usize) -> Self {
        let (mut source, mut destination, mut rest) = (plan.source, plan.destination, call);
        let mut index = SmallVec::from_elem(0, plan.outer.len());
        for (at, axis) in index.iter_mut().zip(&plan.outer).rev() {
            *at = rest % axis.len;
            rest /= axis.len;
            (source, destination) = axis.at(source, destination, *at);
        }
        Self { source, destination, index }
    }

    /// To the next index; from the last one to the first.
    #[inline]
    fn advance(&mut self, outer: &[Axis]) {
        for (at, axis) in self.index.iter_mut().zip(outer).rev() {
            *at += 1;
            if *at < axis.len {
                (self.source, self.destination) = axis.at(self.source, self.destination, 1);
                return;
            }
            *at = 0;
            let back = Axis {
                source: axis.source.wrapping_neg(),
                destination: axis.destination.wrapping_neg(),
                ..*axis
            };
            (self.source, self.destination) = back.at(self.source, self.destination, axis.len - 1);
        }
    }
}

type Axes = SmallVec<[Axis; 4]>;

/// Takes short dense runs for items, if there are items of that size.
fn widen(axes: &mut Axes, item_bytes: &mut usize) {
    while let [.., _, run] = axes.as_slice() {
        let bytes = *item_bytes * run.len;
        let dense = *item_bytes as isize;
        if run.source != dense || run.destination != dense || ![2, 4, 8, 16].contains(&bytes) {
            return;
        }
        *item_bytes = bytes;
        axes.pop();
    }
}

/// Takes the axes of a kernel that moves items out of `axes`.
fn choose(
    axes: &mut Axes,
    source: &mut *const u8,
    destination: &mut *mut u8,
    item_bytes: usize,
    level: Level,
) -> Choice {
    let item = item_bytes as isize;
    let Some(row) = axes.pop() else {
        return block(item_bytes);
    };
    if row.destination != item {
        return general(axes, row, item_bytes);
    }
    if row.source == item {
        return dense(axes, row, item_bytes, level);
    }
    let along = axes.iter().position(|col| col.source.unsigned_abs() == item_bytes);
    if let Some(at) = along {
        let (col, start) = along_the_source(axes[at], (*source, *destination));
        if let Some(choice) = plane(row, col, item_bytes, level) {
            axes.remove(at);
            (*source, *destination) = start;
            return choice;
        }
    }
    let kernel = (row.source % item == 0).then(|| kernels::step(level, row.source / item));
    let Some(kernel) = kernel.flatten() else {
        return general(axes, row, item_bytes);
    };
    let name = match row.source / item {
        0 => "repeat",
        -1 => "reverse",
        _ => "step",
    };
    Choice { name, kernel, row, col: Axis::ONE, units: row.len, whole_units: 64, cast: None }
}

/// The axis walked upwards in the source, and where both sides begin then.
fn along_the_source(axis: Axis, start: (*const u8, *mut u8)) -> (Axis, (*const u8, *mut u8)) {
    if axis.source >= 0 {
        return (axis, start);
    }
    let (source, destination) = (-axis.source, axis.destination.wrapping_neg());
    (Axis { source, destination, ..axis }, axis.at(start.0, start.1, axis.len - 1))
}

fn block(bytes: usize) -> Choice {
    let row = Axis { len: bytes, source: 1, destination: 1 };
    let kernel = kernels::block();
    Choice { name: "block", kernel, row, col: Axis::ONE, units: bytes, whole_units: 64, cast: None }
}

/// Rows without gaps on both sides.
fn dense(axes: &mut Axes, row: Axis, item_bytes: usize, level: Level) -> Choice {
    let bytes = row.len * item_bytes;
    let Some(col) = axes.pop() else {
        return block(bytes);
    };
    let row = Axis { len: bytes, source: 1, destination: 1 };
    let kernel = kernels::rows(level);
    Choice { name: "rows", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}

/// A plane that is dense along `row` in the destination and along `col` in the source.
fn plane(row: Axis, col: Axis, item_bytes: usize, level: Level) -> Option<Choice> {
    let pixel = |channels: usize| (channels * item_bytes) as isize;
    let few = 2..=kernels::MAX_CHANNELS;
    let (name, kernel, units, whole_units) =
        if few.contains(&col.len) && row.source == pixel(col.len) {
            ("split", kernels::split(level, col.len), row.len, 64)
        } else if few.contains(&row.len) && col.destination == pixel(row.len) {
            ("merge", kernels::merge(level, row.len), col.len, 64)
        } else if row.len * item_bytes >= 16 && col.len * item_bytes >= 16 {
            ("transpose", kernels::transpose(level, item_bytes), col.len, 64 / item_bytes)
        } else {
            return None;
        };
    Some(Choice { name, kernel, row, col, units, whole_units, cast: None })
}

/// Element by element, along the two innermost axes.
fn general(axes: &mut Axes, row: Axis, item_bytes: usize) -> Choice {
    let col = axes.pop().unwrap_or(Axis::ONE);
    let kernel = kernels::general(item_bytes);
    Choice { name: "general", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}

/// Dense runs shorter than this are converted element by element.
const SHORTEST_CONVERTED: usize = 16;

/// Takes the axes of a kernel that changes the data type out of `axes`.
fn choose_cast(
    axes: &mut Axes,
    source: &mut *const u8,
    destination: &mut *mut u8,
    (from, to): (DType, DType),
    level: Level,
) -> Choice {
    let (item, to_item) = (from.item_bytes() as isize, to.item_bytes() as isize);
    let Some(row) = axes.last().copied().filter(|row| row.destination == to_item) else {
        return convert_items(axes, from, to);
    };
    let convert = kernels::convert(level, from, to);
    let run = |gather, units: Axis, per_unit| {
        let item_bytes = to.item_bytes();
        Cast { convert, item_bytes, gather, units, per_unit, gathers_rows: false }
    };
    let (outer, units) = (axes.len() - 1, row.len);
    let choice = |kernel, col, units, cast| Choice {
        name: "cast",
        kernel,
        row,
        col,
        units,
        whole_units: 64,
        cast: Some(cast),
    };
    let is_short = row.len < SHORTEST_CONVERTED;
    if row.source == item {
        if is_short && outer > 0 {
            return convert_items(axes, from, to);
        }
        axes.pop();
        return choice(kernels::cast_run(level), Axis::ONE, units, run(None, row, 1));
    }
    let along = axes[..outer].iter().position(|col| col.source.unsigned_abs() == item as usize);
    if let Some(at) = along {
        let (col, start) = along_the_source(axes[at], (*source, *destination));
        let few = 2..=kernels::MAX_CHANNELS;
        let merges = few.contains(&row.len) && col.destination == row.len as isize * to_item;
        let splits = few.contains(&col.len) && row.source == col.len as isize * item;
        let turns = !is_short && col.len * from.item_bytes() >= 16;
        if merges || turns || splits && !is_short {
            axes.pop();
            axes.remove(at);
            (*source, *destination) = start;
        }
        if merges {
            let gather = Some(kernels::merge(level, row.len));
            return choice(kernels::cast_run(level), col, col.len, run(gather, col, row.len));
        }
        if splits && !is_short {
            let gather = Some(kernels::split(level, col.len));
            let cast = Cast { gathers_rows: true, ..run(gather, row, 1) };
            return choice(kernels::cast_plane(level), col, units, cast);
        }
        if turns {
            let gather = Some(kernels::transpose(level, from.item_bytes()));
            return choice(kernels::cast_plane(level), col, units, run(gather, row, 1));
        }
    }
    let gather = (row.source % item == 0).then(|| kernels::step(level, row.source / item));
    match gather.flatten() {
        Some(gather) if !is_short => {
            axes.pop();
            choice(kernels::cast_run(level), Axis::ONE, units, run(Some(gather), row, 1))
        }
        _ => convert_items(axes, from, to),
    }
}

/// Converts element by element, along the two innermost axes.
fn convert_items(axes: &mut Axes, from: DType, to: DType) -> Choice {
    let row = axes.pop().unwrap_or(Axis::ONE);
    let col = axes.pop().unwrap_or(Axis::ONE);
    let kernel = kernels::convert_general(from, to);
    Choice { name: "cast", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}
