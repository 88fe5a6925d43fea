//! Elements a few items apart, forwards or backwards, to a dense run; one element, repeated.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::super::work::{Along, Work};
use super::channels::chunk_len;
use super::stream::stream_bytes;
use super::vector::{LINE, Vector};

/// Bytes that are put together before they are streamed.
const CHUNK: usize = 32 * LINE;

#[repr(align(64))]
struct Chunk {
    _bytes: [u8; CHUNK],
}

/// Where byte `at` of a group lies from the lowest of its elements on.
#[inline(always)]
fn spread<const STEP: usize, const BACK: bool>(at: usize, group: usize, item: u32) -> usize {
    let (element, byte) = (at >> item, at & ((1 << item) - 1));
    let element = if BACK { (group >> item) - 1 - element } else { element };
    ((element * STEP) << item) + byte
}

/// The elements of the range of `row`, each `STEP` items after the one before, or before it; of all
/// `row` for each of the range of `col`, if there is one.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), for a dense destination. What lies between two
/// elements of the source belongs to its allocation: it is read, and thrown away. The processor has
/// the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn step<V: Vector, const STEP: usize, const BACK: bool>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    range: Range<usize>,
) {
    let item = work.item_bytes;
    let spread = |at| spread::<STEP, BACK>(at, V::GROUP, item.trailing_zeros());
    // SAFETY: promised by the caller.
    let pick = unsafe { V::pick::<STEP>(spread) };
    if work.col.len > 1 {
        for col in range {
            let (from, to) = work.col.at(from, to, col);
            // SAFETY: promised by the caller.
            unsafe { run::<V, STEP, BACK>(pick, item, from, to, work.row.len) };
        }
        return;
    }
    if !work.stream {
        let (from, to) = work.row.at(from, to, range.start);
        // SAFETY: promised by the caller.
        return unsafe { run::<V, STEP, BACK>(pick, item, from, to, range.len()) };
    }
    let mut chunk = MaybeUninit::<Chunk>::uninit();
    let chunk = chunk.as_mut_ptr().cast::<u8>();
    let mut start = range.start;
    while start < range.end {
        let (from, to) = work.row.at(from, to, start);
        let len = chunk_len(CHUNK, to, item, range.end - start);
        // SAFETY: elements of the range, to a chunk with room for as many.
        unsafe { run::<V, STEP, BACK>(pick, item, from, chunk, len) };
        // SAFETY: the filled part of the chunk.
        unsafe { stream_bytes::<V>(chunk, to, len * item) };
        start += len;
    }
}

/// # Safety
/// As [`step`], for `len` elements.
#[inline(always)]
unsafe fn run<V: Vector, const STEP: usize, const BACK: bool>(
    pick: V::Pick<STEP>,
    item: usize,
    from: *const u8,
    to: *mut u8,
    len: usize,
) {
    let source = if BACK { -((STEP * item) as isize) } else { (STEP * item) as isize };
    let step = (V::GROUP * STEP) as isize;
    let step = if BACK { -step } else { step };
    // What a vector reads ends where the next element begins, backwards where the former one does:
    // there must be one.
    let first = usize::from(BACK && STEP > 1).min(len);
    let spare = usize::from(!BACK && STEP > 1).min(len);
    let (items, group_items) = (V::BYTES / item, V::GROUP / item);
    let end = len - (len - first - spare) % items - spare;
    // SAFETY: the first elements.
    unsafe { one_by_one(item, source, (from, to), 0..first) };
    for at in (first..end).step_by(items) {
        // The lowest address that the first group is made of.
        let lowest = if BACK { at + group_items - 1 } else { at };
        let from = from.wrapping_offset(source.wrapping_mul(lowest as isize));
        // SAFETY: the elements of the group and what lies between them.
        let mut groups = [unsafe { V::load_groups(from, step) }; STEP];
        for (number, group) in groups.iter_mut().enumerate().skip(1) {
            // SAFETY: as above.
            *group = unsafe { V::load_groups(from.wrapping_add(V::GROUP * number), step) };
        }
        // SAFETY: as many elements of the destination.
        unsafe { V::picked(&groups, pick).store(to.wrapping_add(at * item)) };
    }
    // SAFETY: the last elements.
    unsafe { one_by_one(item, source, (from, to), end..len) };
}

/// # Safety
/// As [`step`], for the elements of the range.
#[inline(always)]
unsafe fn one_by_one(
    item: usize,
    source: isize,
    (from, to): (*const u8, *mut u8),
    range: Range<usize>,
) {
    for at in range {
        let from = from.wrapping_offset(source.wrapping_mul(at as isize));
        // SAFETY: one element of each side.
        unsafe { ptr::copy_nonoverlapping(from, to.wrapping_add(at * item), item) };
    }
}

/// One element, to the range of `row`.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), for a dense destination and a source step of 0. The
/// processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn repeat<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    range: Range<usize>,
) {
    let item = work.item_bytes;
    let mut lane = [0_u8; 16];
    for start in (0..16).step_by(item) {
        // SAFETY: an element, whose size divides 16.
        unsafe { ptr::copy_nonoverlapping(from, lane.as_mut_ptr().wrapping_add(start), item) };
    }
    // SAFETY: promised by the caller.
    let bytes = unsafe { V::repeat(lane) };
    let (to, len) = (to.wrapping_add(range.start * item), range.len() * item);
    let until_line = to.addr().wrapping_neg() % LINE;
    let stream = work.stream && until_line.is_multiple_of(item);
    let head = if stream { until_line.min(len) } else { 0 };
    let end = len - (len - head) % LINE;
    // SAFETY: the first elements.
    unsafe { one_by_one(item, 0, (from, to), 0..head / item) };
    for at in (head..end).step_by(V::BYTES) {
        let to = to.wrapping_add(at);
        if stream {
            // SAFETY: a part of a cache line.
            unsafe { bytes.stream(to) };
        } else {
            // SAFETY: a part of the run.
            unsafe { bytes.store(to) };
        }
    }
    // SAFETY: the last elements.
    unsafe { one_by_one(item, 0, (from, to), end / item..len / item) };
}
