//! Channels that lie interleaved on one side and apart on the other.
//!
//! ```text
//! interleaved  r g b r g b r g b ..        planes  r r r ..
//!                                                  g g g ..
//!                                                  b b b ..
//! ```
//!
//! A lane of 16 bytes of one plane is put together from as many lanes of the interleaved side as
//! there are channels, by byte shuffles, whatever the size of the items; and the other way round.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::super::work::Work;
use super::stream::stream_bytes;
use super::vector::{LINE, NOTHING, Vector};

/// Bytes of each plane that are put together before they are streamed.
const CHUNK: usize = 32 * LINE;

#[repr(align(64))]
struct Chunk {
    _bytes: [u8; CHUNK],
}

/// Masks: byte `to` of lane `to_lane` of one side is byte `from` of lane `from_lane` of the other.
type Masks<const CHANNELS: usize> = [[[u8; 16]; CHANNELS]; CHANNELS];

/// For each plane, what it takes from each interleaved lane.
pub(super) fn splitting<const CHANNELS: usize>(item_bytes: usize) -> Masks<CHANNELS> {
    let mut masks = [[[NOTHING; 16]; CHANNELS]; CHANNELS];
    for at in 0..16 * CHANNELS {
        let (item, byte) = (at / item_bytes, at % item_bytes);
        let (pixel, plane) = (item / CHANNELS, item % CHANNELS);
        masks[plane][at / 16][pixel * item_bytes + byte] = (at % 16) as u8;
    }
    masks
}

/// For each interleaved lane, what it takes from each plane.
fn merging<const CHANNELS: usize>(item_bytes: usize) -> Masks<CHANNELS> {
    let mut masks = [[[NOTHING; 16]; CHANNELS]; CHANNELS];
    for at in 0..16 * CHANNELS {
        let (item, byte) = (at / item_bytes, at % item_bytes);
        let (pixel, plane) = (item / CHANNELS, item % CHANNELS);
        masks[at / 16][plane][at % 16] = (pixel * item_bytes + byte) as u8;
    }
    masks
}

/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn in_registers<V: Vector, const CHANNELS: usize>(
    masks: &Masks<CHANNELS>,
) -> [[V; CHANNELS]; CHANNELS] {
    // SAFETY: promised by the caller.
    let mut registers = [[unsafe { V::repeat(masks[0][0]) }; CHANNELS]; CHANNELS];
    for (registers, masks) in registers.iter_mut().zip(masks) {
        for (register, &mask) in registers.iter_mut().zip(masks) {
            // SAFETY: promised by the caller.
            *register = unsafe { V::repeat(mask) };
        }
    }
    registers
}

/// What `masks` take from `lanes`.
#[inline(always)]
pub(super) fn gathered<V: Vector, const CHANNELS: usize>(
    lanes: &[V; CHANNELS],
    masks: &[V; CHANNELS],
) -> V {
    let mut all = lanes[0].shuffle(masks[0]);
    for (lane, &mask) in lanes.iter().zip(masks).skip(1) {
        all = all.or(lane.shuffle(mask));
    }
    all
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
/// As [`Kernel`](super::super::plan::Kernel); the source is dense, with `CHANNELS` items in a
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
    let masks = unsafe { in_registers(&splitting::<CHANNELS>(item)) };
    if !work.stream {
        let (from, to) = work.row.at(from, to, pixels.start);
        // SAFETY: promised by the caller.
        return unsafe { split_run::<V, CHANNELS>(&masks, item, from, (to, plane), pixels.len()) };
    }
    let mut chunks = [const { MaybeUninit::<Chunk>::uninit() }; CHANNELS];
    let chunks = chunks.as_mut_ptr().cast::<u8>();
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (from, to) = work.row.at(from, to, pixel);
        let len = chunk_len(CHUNK, to, item, pixels.end - pixel);
        let planes = (chunks, CHUNK as isize);
        // SAFETY: pixels of the range, to room for as many in each chunk.
        unsafe { split_run::<V, CHANNELS>(&masks, item, from, planes, len) };
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
    masks: &[[V; CHANNELS]; CHANNELS],
    item: usize,
    from: *const u8,
    (to, plane): (*mut u8, isize),
    len: usize,
) {
    let whole = len * item / V::BYTES * V::BYTES;
    for at in (0..whole).step_by(V::BYTES) {
        let from = from.wrapping_add(at * CHANNELS);
        let lane_step = (16 * CHANNELS) as isize;
        // SAFETY: the first lanes of these pixels.
        let mut lanes = [unsafe { V::load_lanes(from, lane_step) }; CHANNELS];
        for (number, lane) in lanes.iter_mut().enumerate().skip(1) {
            // SAFETY: the following ones.
            *lane = unsafe { V::load_lanes(from.wrapping_add(16 * number), lane_step) };
        }
        for (channel, masks) in masks.iter().enumerate() {
            let to = to.wrapping_offset(plane.wrapping_mul(channel as isize)).wrapping_add(at);
            // SAFETY: as many bytes of one plane.
            unsafe { gathered(&lanes, masks).store(to) };
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
/// As [`Kernel`](super::super::plan::Kernel); the destination is dense, with `CHANNELS` items in
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
    let masks = unsafe { in_registers(&merging::<CHANNELS>(item)) };
    if !work.stream {
        let (from, to) = work.col.at(from, to, pixels.start);
        // SAFETY: promised by the caller.
        return unsafe { merge_run::<V, CHANNELS>(&masks, item, (from, plane), to, pixels.len()) };
    }
    let mut chunk = MaybeUninit::<Chunk>::uninit();
    let chunk = chunk.as_mut_ptr().cast::<u8>();
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (from, to) = work.col.at(from, to, pixel);
        let len = chunk_len(CHUNK, to, item * CHANNELS, pixels.end - pixel);
        // SAFETY: pixels of the range, to a chunk with room for as many.
        unsafe { merge_run::<V, CHANNELS>(&masks, item, (from, plane), chunk, len) };
        // SAFETY: the filled part of the chunk.
        unsafe { stream_bytes::<V>(chunk, to, len * item * CHANNELS) };
        pixel += len;
    }
}

/// # Safety
/// As [`merge`], for `len` pixels; the planes begin at the pointer, that many bytes apart.
#[inline(always)]
unsafe fn merge_run<V: Vector, const CHANNELS: usize>(
    masks: &[[V; CHANNELS]; CHANNELS],
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
        for (number, masks) in masks.iter().enumerate() {
            let to = to.wrapping_add(at * CHANNELS + 16 * number);
            // SAFETY: a lane of each group of pixels.
            unsafe { gathered(&planes, masks).store_lanes(to, (16 * CHANNELS) as isize) };
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
