//! Where the directory of a zip archive lies: the records at the archive's end.

use std::io::{Read, Seek, SeekFrom};

use crate::error::NumpyError;
use crate::npz::record::{
    CENTRAL_BYTES, END, END_BYTES, END64, END64_BYTES, FieldsAt as _, LOCAL_BYTES, LOCATOR64,
    LOCATOR64_BYTES,
};
use crate::reason::FormatError;
use crate::room;

/// Longest comment behind the end record.
const MAX_COMMENT_BYTES: usize = u16::MAX as usize;

/// Where the directory lies in the file.
pub(super) struct Extent {
    pub start: u64,
    // INVARIANT: `start + len_bytes` lies inside the file.
    pub len_bytes: u64,
    // INVARIANT: a file of this length has room for `count` members.
    pub count: u64,
    /// Bytes before the archive, which its offsets do not count.
    pub shift: u64,
}

/// What an end record says, of 32 or 64 bits.
struct Claim {
    /// Where the record begins, which is where the directory ends.
    at: u64,
    count: u64,
    len_bytes: u64,
    offset: u64,
}

/// Finds the directory of an archive in a file of `file_bytes`.
pub(super) fn find<R: Read + Seek>(reader: &mut R, file_bytes: u64) -> Result<Extent, NumpyError> {
    let claim = read_claim(reader, file_bytes)?;
    let error = |reason| NumpyError::format(claim.at, reason);
    let Some(start) = claim.at.checked_sub(claim.len_bytes) else {
        let (what, end, limit) = ("directory", claim.len_bytes, claim.at);
        return Err(error(FormatError::OutOfRange { what, end, limit }));
    };
    // Each member has an entry in the directory and a header of its own before it.
    let room = (claim.len_bytes / CENTRAL_BYTES as u64).min(start / LOCAL_BYTES as u64);
    if claim.count > room.min(u32::MAX.into()) {
        let (what, expected, found) = ("number of members", claim.count, room);
        return Err(error(FormatError::Disagreement { what, expected, found }));
    }
    let shift = start.checked_sub(claim.offset).ok_or_else(|| {
        let (expected, found) = (claim.offset, start);
        error(FormatError::Disagreement { what: "start of the directory", expected, found })
    })?;
    Ok(Extent { start, len_bytes: claim.len_bytes, count: claim.count, shift })
}

fn read_claim<R: Read + Seek>(reader: &mut R, file_bytes: u64) -> Result<Claim, NumpyError> {
    let tail_bytes = file_bytes.min((END_BYTES + MAX_COMMENT_BYTES) as u64);
    let tail_at = file_bytes - tail_bytes;
    let mut tail = room::zeroed(tail_bytes as usize)?;
    reader.seek(SeekFrom::Start(tail_at))?;
    reader.read_exact(&mut tail)?;
    let missing = || NumpyError::format(file_bytes, FormatError::NoEndRecord);
    let at = find_end(&tail).ok_or_else(missing)?;
    let record = &tail[at..at + END_BYTES];
    let end_at = tail_at + at as u64;
    if let Some(claim) = read_claim64(reader, end_at)? {
        return Ok(claim);
    }
    if record.u16_at(4) != 0 || record.u16_at(6) != 0 || record.u16_at(8) != record.u16_at(10) {
        return Err(NumpyError::format(end_at, FormatError::SeveralDisks));
    }
    Ok(Claim {
        at: end_at,
        count: record.u16_at(10).into(),
        len_bytes: record.u32_at(12).into(),
        offset: record.u32_at(16).into(),
    })
}

/// The last end record that is whole; a comment may follow.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_BYTES)?;
    (0..=last).rev().find(|&at| tail[at..].starts_with(&END))
}

/// The 64-bit end record, which lies straight before its locator and the 32-bit one.
fn read_claim64<R: Read + Seek>(reader: &mut R, end_at: u64) -> Result<Option<Claim>, NumpyError> {
    const BYTES: usize = END64_BYTES + LOCATOR64_BYTES;
    let Some(at) = end_at.checked_sub(BYTES as u64) else { return Ok(None) };
    let mut records = [0; BYTES];
    reader.seek(SeekFrom::Start(at))?;
    reader.read_exact(&mut records)?;
    let (record, locator) = records.split_at(END64_BYTES);
    if !locator.starts_with(&LOCATOR64) {
        return Ok(None);
    }
    if !record.starts_with(&END64) {
        let record = "zip64 end record";
        return Err(NumpyError::format(at, FormatError::Record { record }));
    }
    if locator.u32_at(16) > 1 || record.u32_at(16) != 0 || record.u32_at(20) != 0 {
        return Err(NumpyError::format(at, FormatError::SeveralDisks));
    }
    let (count, len_bytes, offset) = (record.u64_at(32), record.u64_at(40), record.u64_at(48));
    Ok(Some(Claim { at, count, len_bytes, offset }))
}
