//! The kernel for the elements of a walk.

use ndbridge_dtype::DType;
use ndbridge_layout::{WalkAxes, WalkAxis};

use super::kernels;
use super::level::Level;
use super::work::{Along, Cast, Kernel, Stage};
use crate::team::num_threads;

/// A kernel, and which axes it takes.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) kernel: Kernel,
    pub(super) row: WalkAxis,
    pub(super) col: WalkAxis,
    pub(super) units: usize,
    /// Parts begin at multiples of this.
    pub(super) whole_units: usize,
    pub(super) cast: Option<Cast>,
}

/// Takes short dense runs for items, if there are items of that size.
pub(super) fn widen(axes: &mut WalkAxes, item_bytes: &mut usize) {
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
pub(super) fn choose(
    axes: &mut WalkAxes,
    source: &mut *const u8,
    destination: &mut *mut u8,
    item_bytes: usize,
    level: Level,
) -> Choice {
    let item = item_bytes as isize;
    let Some(row) = axes.pop() else {
        return block(item_bytes, level);
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
    let choice = Choice {
        name,
        kernel,
        row,
        col: WalkAxis::ONE,
        units: row.len,
        whole_units: 64,
        cast: None,
    };
    if row.source == 0 || row.len * item_bytes >= kernels::SHORT_ROW {
        return choice;
    }
    // What the kernel prepares is for many rows.
    by_distance(axes);
    match axes.pop() {
        Some(col) => Choice { col, units: col.len, whole_units: 1, ..choice },
        None => choice,
    }
}

/// The axis walked upwards in the source, and where both sides begin then.
fn along_the_source(
    axis: WalkAxis,
    start: (*const u8, *mut u8),
) -> (WalkAxis, (*const u8, *mut u8)) {
    if axis.source >= 0 {
        return (axis, start);
    }
    let (source, destination) = (-axis.source, axis.destination.wrapping_neg());
    (WalkAxis { source, destination, ..axis }, axis.at(start.0, start.1, axis.len - 1))
}

fn block(bytes: usize, level: Level) -> Choice {
    let row = WalkAxis { len: bytes, source: 1, destination: 1 };
    let kernel = kernels::block(level);
    Choice {
        name: "block",
        kernel,
        row,
        col: WalkAxis::ONE,
        units: bytes,
        whole_units: 64,
        cast: None,
    }
}

/// Orders the axes by how far their steps lead on both sides together, the nearest last: what is walked
/// first stays in the caches.
pub(super) fn by_distance(axes: &mut WalkAxes) {
    axes.sort_by_key(|axis| {
        let far = axis.source.unsigned_abs().saturating_add(axis.destination.unsigned_abs());
        std::cmp::Reverse(far)
    });
}

/// Rows without gaps on both sides.
fn dense(axes: &mut WalkAxes, row: WalkAxis, item_bytes: usize, level: Level) -> Choice {
    let bytes = row.len * item_bytes;
    by_distance(axes);
    let Some(col) = axes.pop() else {
        return block(bytes, level);
    };
    let row = WalkAxis { len: bytes, source: 1, destination: 1 };
    let kernel = kernels::rows(level);
    Choice { name: "rows", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}

/// A plane that is dense along `row` in the destination and along `col` in the source.
fn plane(row: WalkAxis, col: WalkAxis, item_bytes: usize, level: Level) -> Option<Choice> {
    let pixel = |channels: usize| (channels * item_bytes) as isize;
    let few = 2..=kernels::MAX_CHANNELS;
    let (name, kernel, units, whole_units) =
        if few.contains(&col.len) && row.source == pixel(col.len) {
            ("split", kernels::split(level, col.len), row.len, 64)
        } else if few.contains(&row.len) && col.destination == pixel(row.len) {
            ("merge", kernels::merge(level, row.len), col.len, 64)
        } else if row.len * item_bytes >= 16 && col.len * item_bytes >= 16 {
            ("transpose", kernels::transpose(level, item_bytes), col.len, wide(col.len, item_bytes))
        } else {
            return None;
        };
    Some(Choice { name, kernel, row, col, units, whole_units, cast: None })
}

/// Planes that are one run of the destination are put together up to this size.
const SHORT_PLANE: usize = 16 << 10;

/// Puts short rows together, if the destination goes on where they end.
pub(super) fn stage(
    axes: &mut WalkAxes,
    mut choice: Choice,
    item_bytes: usize,
    level: Level,
) -> (Choice, Option<Stage>) {
    let is_rows = choice.name == "rows";
    let row_bytes = choice.row.len * if is_rows { 1 } else { item_bytes };
    if !is_rows && choice.name != "transpose" || row_bytes >= kernels::SHORT_ROW {
        return (choice, None);
    }
    if is_rows {
        axes.push(choice.col);
    }
    let plane_bytes = row_bytes * choice.col.len;
    let is_one_run = !is_rows && choice.col.destination == row_bytes as isize;
    let run = if is_one_run { plane_bytes } else { row_bytes };
    let at = axes.iter().position(|axis| axis.destination == run as isize);
    let mid = match at {
        Some(at) if run <= SHORT_PLANE => axes.remove(at),
        None if is_one_run && run <= SHORT_PLANE => WalkAxis::ONE,
        _ => {
            if is_rows {
                axes.pop();
            }
            return (choice, None);
        }
    };
    if is_rows {
        // Whatever is nearest in the source.
        let nearest = (0..axes.len()).min_by_key(|&at| axes[at].source.unsigned_abs());
        choice.col = nearest.map_or(WalkAxis::ONE, |at| axes.remove(at));
    }
    let col_bytes = if is_rows { row_bytes } else { item_bytes };
    let stage = Stage { gather: choice.kernel, mid, row_bytes, col_bytes };
    (
        Choice { kernel: kernels::staged(level), units: mid.len, whole_units: 1, ..choice },
        Some(stage),
    )
}

/// How many columns a part of a transpose has at least: rows of the source are read faster the longer they
/// are, as long as there are parts for every thread.
fn wide(cols: usize, item_bytes: usize) -> usize {
    let line = 64 / item_bytes;
    (cols / line / (2 * num_threads())).clamp(1, 128) * line
}

/// Element by element, whatever the steps.
pub(super) fn choose_general(axes: &mut WalkAxes, item_bytes: usize) -> Choice {
    let row = axes.pop().unwrap_or(WalkAxis::ONE);
    general(axes, row, item_bytes)
}

/// Element by element, along the two innermost axes.
fn general(axes: &mut WalkAxes, row: WalkAxis, item_bytes: usize) -> Choice {
    let col = axes.pop().unwrap_or(WalkAxis::ONE);
    let kernel = kernels::general(item_bytes);
    Choice { name: "general", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}

/// Dense runs shorter than this are converted element by element.
const SHORTEST_CONVERTED: usize = 16;

/// Takes the axes of a kernel that changes the data type out of `axes`.
pub(super) fn choose_cast(
    axes: &mut WalkAxes,
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
    let run = |gather, units: WalkAxis, per_unit| {
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
        return choice(kernels::cast_run(level), WalkAxis::ONE, units, run(None, row, 1));
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
            choice(kernels::cast_run(level), WalkAxis::ONE, units, run(Some(gather), row, 1))
        }
        _ => convert_items(axes, from, to),
    }
}

/// Converts element by element, along the two innermost axes.
fn convert_items(axes: &mut WalkAxes, from: DType, to: DType) -> Choice {
    let row = axes.pop().unwrap_or(WalkAxis::ONE);
    let col = axes.pop().unwrap_or(WalkAxis::ONE);
    let kernel = kernels::convert_general(from, to);
    Choice { name: "cast", kernel, row, col, units: col.len, whole_units: 1, cast: None }
}
