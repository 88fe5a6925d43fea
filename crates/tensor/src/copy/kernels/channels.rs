//! Channels that lie interleaved on one side and apart on the other.
//!
//! ```text
//! interleaved  r g b r g b r g b ..        planes  r r r ..
//!                                                  g g g ..
//!                                                  b b b ..
//! ```
//!
//! A vector of one plane is put together from as many of the interleaved side as there are channels, by
//! byte shuffles, whatever the size of the items; and the other way round.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::super::work::{Along, Work};
use super::stream::stream_bytes;
use super::vector::{LINE, Vector};

/// Bytes of each plane that are put together before they are streamed.
const CHUNK: usize = 32 * LINE;

#[repr(align(64))]
struct Chunk {
    _bytes: [u8; CHUNK],
}

/// Where the items of some pixels lie, the bytes of a group for each channel.
#[derive(Clone, Copy)]
struct Pixels {
    channels: usize,
    group: usize,
    /// Binary logarithm of the size of an item.
    item: u32,
}

impl Pixels {
    /// Where byte `at` of a plane is among the interleaved bytes.
    #[inline(always)]
    fn interleaved(self, plane: usize, at: usize) -> usize {
        let (pixel, byte) = (at >> self.item, at & ((1 << self.item) - 1));
        ((pixel * self.channels + plane) << self.item) + byte
    }

    /// Where interleaved byte `at` is among the planes, which lie one after the other.
    #[inline(always)]
    fn in_planes(self, at: usize) -> usize {
        let (item, byte) = (at >> self.item, at & ((1 << self.item) - 1));
        let (pixel, plane) = (item / self.channels, item % self.channels);
        plane * self.group + (pixel << self.item) + byte
    }
}

/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn picks<V: Vector, const CHANNELS: usize>(
    from: impl Fn(Pixels, usize, usize) -> usize,
    item_bytes: usize,
) -> [V::Pick<CHANNELS>; CHANNELS] {
    let item = item_bytes.trailing_zeros();
    let pixels = Pixels { channels: CHANNELS, group: V::GROUP, item };
    // SAFETY: promised by the caller.
    let mut picks = [unsafe { V::pick(|at| from(pixels, 0, at)) }; CHANNELS];
    for (number, pick) in picks.iter_mut().enumerate().skip(1) {
        // SAFETY: promised by the caller.
        *pick = unsafe { V::pick(|at| from(pixels, number, at)) };
    }
    picks
}

/// How many units of `unit_bytes` to put together in `room` bytes, for a run that goes on at `to` with
/// `left` of them: so many that the next ones begin with a cache line, if that can be.
pub(super) fn chunk_len(room: usize, to: *mut u8, unit_bytes: usize, left: usize) -> usize {
    let (until_line, most) = (to.addr().wrapping_neg() % LINE, room / unit_bytes);
    // So many units are whole lines.
    let period = LINE >> unit_bytes.trailing_zeros().min(LINE.trailing_zeros());
    let to_line = (0..period).find(|units| units * unit_bytes % LINE == until_line);
    let len = match to_line {
        Some(first) if first < most => first + (most - first) / period * period,
        _ => most,
    };
    len.clamp(1, left)
}

/// Splits the pixels of the range: `row` runs along them, `col` along their channels.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel); the source is dense, with `CHANNELS` items in a
/// pixel, and so is each plane. The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn split<V: Vector, const CHANNELS: usize>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    pixels: Range<usize>,
) {
    let (item, plane) = (work.item_bytes, work.col.destination);
    // SAFETY: promised by the caller.
    let picks = unsafe { picks::<V, CHANNELS>(Pixels::interleaved, item) };
    if !work.stream {
        let (from, to) = work.row.at(from, to, pixels.start);
        // SAFETY: promised by the caller.
        return unsafe { split_run::<V, CHANNELS>(&picks, item, from, (to, plane), pixels.len()) };
    }
    let mut chunks = [const { MaybeUninit::<Chunk>::uninit() }; CHANNELS];
    let chunks = chunks.as_mut_ptr().cast::<u8>();
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (from, to) = work.row.at(from, to, pixel);
        let len = chunk_len(CHUNK, to, item, pixels.end - pixel);
        let planes = (chunks, CHUNK as isize);
        // SAFETY: pixels of the range, to room for as many in each chunk.
        unsafe { split_run::<V, CHANNELS>(&picks, item, from, planes, len) };
        for channel in 0..CHANNELS {
            let chunk = chunks.wrapping_add(channel * CHUNK).cast_const();
            let to = to.wrapping_offset(plane.wrapping_mul(channel as isize));
            // SAFETY: a chunk that was filled, to its plane.
            unsafe { stream_bytes::<V>(chunk, to, len * item) };
        }
        pixel += len;
    }
}

/// # Safety
/// As [`split`], for `len` pixels; the planes begin at the pointer, that many bytes apart.
#[inline(always)]
unsafe fn split_run<V: Vector, const CHANNELS: usize>(
    picks: &[V::Pick<CHANNELS>; CHANNELS],
    item: usize,
    from: *const u8,
    (to, plane): (*mut u8, isize),
    len: usize,
) {
    let whole = len * item / V::BYTES * V::BYTES;
    for at in (0..whole).step_by(V::BYTES) {
        let from = from.wrapping_add(at * CHANNELS);
        let step = (V::GROUP * CHANNELS) as isize;
        // SAFETY: the first groups of these pixels.
        let mut groups = [unsafe { V::load_groups(from, step) }; CHANNELS];
        for (number, group) in groups.iter_mut().enumerate().skip(1) {
            // SAFETY: the following ones.
            *group = unsafe { V::load_groups(from.wrapping_add(V::GROUP * number), step) };
        }
        for (channel, &pick) in picks.iter().enumerate() {
            let to = to.wrapping_offset(plane.wrapping_mul(channel as isize)).wrapping_add(at);
            // SAFETY: as many bytes of one plane.
            unsafe { V::picked(&groups, pick).store(to) };
        }
    }
    for pixel in whole / item..len {
        for channel in 0..CHANNELS {
            let from = from.wrapping_add((pixel * CHANNELS + channel) * item);
            let to = to.wrapping_offset(plane.wrapping_mul(channel as isize));
            // SAFETY: one item.
            unsafe { ptr::copy_nonoverlapping(from, to.wrapping_add(pixel * item), item) };
        }
    }
}

/// Merges the pixels of the range: `row` runs along their channels, `col` along them.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel); the destination is dense, with `CHANNELS` items in
/// a pixel, and so is each plane. The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn merge<V: Vector, const CHANNELS: usize>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    pixels: Range<usize>,
) {
    let (item, plane) = (work.item_bytes, work.row.source);
    // SAFETY: promised by the caller.
    let picks = unsafe {
        picks::<V, CHANNELS>(|pixels, number, at| pixels.in_planes(number * V::GROUP + at), item)
    };
    if !work.stream {
        let (from, to) = work.col.at(from, to, pixels.start);
        // SAFETY: promised by the caller.
        return unsafe { merge_run::<V, CHANNELS>(&picks, item, (from, plane), to, pixels.len()) };
    }
    let mut chunk = MaybeUninit::<Chunk>::uninit();
    let chunk = chunk.as_mut_ptr().cast::<u8>();
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (from, to) = work.col.at(from, to, pixel);
        let len = chunk_len(CHUNK, to, item * CHANNELS, pixels.end - pixel);
        // SAFETY: pixels of the range, to a chunk with room for as many.
        unsafe { merge_run::<V, CHANNELS>(&picks, item, (from, plane), chunk, len) };
        // SAFETY: the filled part of the chunk.
        unsafe { stream_bytes::<V>(chunk, to, len * item * CHANNELS) };
        pixel += len;
    }
}

/// # Safety
/// As [`merge`], for `len` pixels; the planes begin at the pointer, that many bytes apart.
#[inline(always)]
unsafe fn merge_run<V: Vector, const CHANNELS: usize>(
    picks: &[V::Pick<CHANNELS>; CHANNELS],
    item: usize,
    (from, plane): (*const u8, isize),
    to: *mut u8,
    len: usize,
) {
    let whole = len * item / V::BYTES * V::BYTES;
    for at in (0..whole).step_by(V::BYTES) {
        let from = from.wrapping_add(at);
        // SAFETY: the first plane of these pixels.
        let mut planes = [unsafe { V::load(from) }; CHANNELS];
        for (channel, bytes) in planes.iter_mut().enumerate().skip(1) {
            let from = from.wrapping_offset(plane.wrapping_mul(channel as isize));
            // SAFETY: the following ones.
            *bytes = unsafe { V::load(from) };
        }
        for (number, &pick) in picks.iter().enumerate() {
            let to = to.wrapping_add(at * CHANNELS + V::GROUP * number);
            let step = (V::GROUP * CHANNELS) as isize;
            // SAFETY: a group of each so many pixels.
            unsafe { V::picked(&planes, pick).store_groups(to, step) };
        }
    }
    for pixel in whole / item..len {
        for channel in 0..CHANNELS {
            let from = from.wrapping_offset(plane.wrapping_mul(channel as isize));
            let to = to.wrapping_add((pixel * CHANNELS + channel) * item);
            // SAFETY: one item.
            unsafe { ptr::copy_nonoverlapping(from.wrapping_add(pixel * item), to, item) };
        }
    }
}
