//! The directory of a zip archive: which member lies where.
//!
//! An entry is kept only after its bytes were read, whatever count the end record claims. No two
//! members share bytes, and each knows where it has to end, so that no later step can be sent
//! outside its own part of the file.

use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::error::NumpyError;
use crate::npz::cp437;
use crate::npz::end::{self, Extent};
use crate::npz::record::{
    CENTRAL, CENTRAL_BYTES, ENCRYPTED, FieldsAt as _, IN_ZIP64, LOCAL_BYTES, NAME_IS_UTF8, SIZES64,
};
use crate::reason::FormatError;
use crate::room;

const READ_BYTES: usize = 1 << 15;

/// Where a member lies and how it is packed.
#[derive(Debug)]
pub(super) struct Entry {
    /// Name in the archive, such as `a.npy`.
    pub name: Box<str>,
    /// Where the member's own header begins.
    pub header_at: u64,
    /// Where the member has to end: at the next member or the directory.
    pub limit: u64,
    pub packed_bytes: u64,
    pub unpacked_bytes: u64,
    pub crc: u32,
    pub method: u16,
    pub is_encrypted: bool,
}

impl Entry {
    /// The name of the array, as `np.load` gives it.
    pub(super) fn key(&self) -> &str {
        self.name.strip_suffix(".npy").unwrap_or(&self.name)
    }
}

/// The members of an archive, in the order of its directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub entries: Vec<Entry>,
    // INVARIANT: the indices of `entries`, sorted by key; no key stands twice.
    by_key: Vec<u32>,
}

impl Directory {
    /// Reads the directory of an archive in a file of `file_bytes`.
    pub(super) fn read<R: Read + Seek>(
        reader: &mut R,
        file_bytes: u64,
    ) -> Result<Self, NumpyError> {
        let extent = end::find(reader, file_bytes)?;
        let mut entries = read_entries(reader, &extent)?;
        set_limits(&mut entries, &extent)?;
        entries.retain(|entry| !entry.name.ends_with('/'));
        let by_key = sorted_by_key(&entries, extent.start)?;
        Ok(Self { entries, by_key })
    }

    /// The member that gives the array `name`; a trailing `.npy` may be left out or not.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.find_key(name).or_else(|| self.find_key(name.strip_suffix(".npy")?))
    }

    fn find_key(&self, key: &str) -> Option<&Entry> {
        let entry = |&index: &u32| &self.entries[index as usize];
        let place = self.by_key.binary_search_by(|index| entry(index).key().cmp(key)).ok()?;
        self.by_key.get(place).map(entry)
    }
}

fn read_entries<R: Read + Seek>(reader: &mut R, extent: &Extent) -> Result<Vec<Entry>, NumpyError> {
    reader.seek(SeekFrom::Start(extent.start))?;
    let reader = BufReader::with_capacity(READ_BYTES, reader);
    let mut rest = Rest { reader, at: extent.start, left: extent.len_bytes };
    // `Extent` promises that the file has room for that many.
    let mut entries = room::with_room(extent.count as usize)?;
    while rest.left > 0 {
        let entry = rest.read_entry(extent.shift)?;
        if entries.len() as u64 == extent.count {
            return Err(count_error(extent, extent.count + 1));
        }
        entries.push(entry);
    }
    match entries.len() as u64 {
        found if found == extent.count => Ok(entries),
        found => Err(count_error(extent, found)),
    }
}

fn count_error(extent: &Extent, found: u64) -> NumpyError {
    let (what, expected) = ("number of members", extent.count);
    let at = extent.start + extent.len_bytes;
    NumpyError::format(at, FormatError::Disagreement { what, expected, found })
}

/// The part of the directory that was not read yet.
struct Rest<R> {
    reader: BufReader<R>,
    at: u64,
    left: u64,
}

impl<R: Read> Rest<R> {
    fn broken(&self) -> NumpyError {
        NumpyError::format(self.at, FormatError::Record { record: "directory entry" })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), NumpyError> {
        let left = self.left.checked_sub(buffer.len() as u64).ok_or_else(|| self.broken())?;
        self.reader.read_exact(buffer)?;
        self.at += buffer.len() as u64;
        self.left = left;
        Ok(())
    }

    fn read_vec(&mut self, len: u16) -> Result<Vec<u8>, NumpyError> {
        let mut bytes = room::zeroed(len.into())?;
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn read_entry(&mut self, shift: u64) -> Result<Entry, NumpyError> {
        let entry_at = self.at;
        let mut record = [0; CENTRAL_BYTES];
        self.read(&mut record)?;
        if !record.starts_with(&CENTRAL) {
            let reason = FormatError::Record { record: "directory entry" };
            return Err(NumpyError::format(entry_at, reason));
        }
        let name = self.read_vec(record.u16_at(28))?;
        let extra = self.read_vec(record.u16_at(30))?;
        self.read_vec(record.u16_at(32))?; // a comment
        entry(&record, &name, &extra, shift).map_err(|reason| NumpyError::format(entry_at, reason))
    }
}

fn entry(record: &[u8], name: &[u8], extra: &[u8], shift: u64) -> Result<Entry, FormatError> {
    let flags = record.u16_at(8);
    let mut wide = Wide { values: zip64_values(extra)? };
    let unpacked_bytes = wide.value(record.u32_at(24))?;
    let packed_bytes = wide.value(record.u32_at(20))?;
    let offset = wide.value(record.u32_at(42))?;
    let what = "member";
    let too_far = FormatError::OutOfRange { what, end: u64::MAX, limit: u64::MAX - shift };
    Ok(Entry {
        name: decode_name(name, flags)?.into_boxed_str(),
        header_at: offset.checked_add(shift).ok_or(too_far)?,
        limit: 0,
        packed_bytes,
        unpacked_bytes,
        crc: record.u32_at(16),
        method: record.u16_at(10),
        is_encrypted: flags & ENCRYPTED != 0,
    })
}

pub(super) fn decode_name(name: &[u8], flags: u16) -> Result<String, FormatError> {
    if flags & NAME_IS_UTF8 == 0 {
        return Ok(cp437::decode(name));
    }
    String::from_utf8(name.to_vec()).map_err(|_| FormatError::NameEncoding)
}

/// The values of the zip64 extra field; empty if there is none.
fn zip64_values(mut extra: &[u8]) -> Result<&[u8], FormatError> {
    while extra.len() >= 4 {
        let (id, len) = (extra.u16_at(0), usize::from(extra.u16_at(2)));
        let values = extra.get(4..4 + len).ok_or(FormatError::Record { record: "extra field" })?;
        if id == SIZES64 {
            return Ok(values);
        }
        extra = &extra[4 + len..];
    }
    Ok(&[])
}

/// 64-bit values that stand in for 32-bit fields, in their order.
struct Wide<'a> {
    values: &'a [u8],
}

impl Wide<'_> {
    fn value(&mut self, narrow: u32) -> Result<u64, FormatError> {
        if narrow != IN_ZIP64 {
            return Ok(narrow.into());
        }
        if self.values.is_empty() {
            return Ok(narrow.into());
        }
        if self.values.len() < 8 {
            return Err(FormatError::Record { record: "zip64 extra field" });
        }
        let value = self.values.u64_at(0);
        self.values = &self.values[8..];
        Ok(value)
    }
}

/// Gives every member the place where it has to end, and checks that it can.
fn set_limits(entries: &mut [Entry], extent: &Extent) -> Result<(), NumpyError> {
    let mut by_place = room::collected((0..entries.len() as u32).map(Ok))?;
    by_place.sort_unstable_by_key(|&index| entries[index as usize].header_at);
    let mut next: Option<usize> = None;
    for index in by_place.into_iter().rev() {
        let index = index as usize;
        let limit = next.map_or(extent.start, |next| entries[next].header_at);
        // The member's own header may hold more before the data; that is checked with it.
        let end = min_end(&entries[index]);
        if end > limit {
            let name = |index: usize| entries[index].name.to_string();
            let reason = match next {
                Some(next) => FormatError::Overlap { first: name(index), second: name(next) },
                None => FormatError::OutOfRange { what: "member", end, limit },
            };
            return Err(NumpyError::format(entries[index].header_at, reason));
        }
        entries[index].limit = limit;
        next = Some(index);
    }
    Ok(())
}

fn min_end(entry: &Entry) -> u64 {
    let header_end = entry.header_at.saturating_add(LOCAL_BYTES as u64);
    header_end.saturating_add(entry.packed_bytes)
}

fn sorted_by_key(entries: &[Entry], directory_at: u64) -> Result<Vec<u32>, NumpyError> {
    let key = |index: &u32| entries[*index as usize].key();
    let mut by_key = room::collected((0..entries.len() as u32).map(Ok))?;
    by_key.sort_unstable_by(|left, right| key(left).cmp(key(right)));
    match by_key.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        Some(pair) => {
            let name = key(&pair[0]).to_owned();
            Err(NumpyError::format(directory_at, FormatError::SameName { name }))
        }
        None => Ok(by_key),
    }
}
