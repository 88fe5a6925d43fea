//! The fixed-size records of a zip archive.
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.

/// Marks the data of a member.
pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Marks a member in the directory.
pub(super) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// Marks the end of the archive.
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
/// Marks the end of an archive with 64-bit lengths.
pub(super) const END64: [u8; 4] = *b"PK\x06\x06";
/// Marks the record between that one and the last.
pub(super) const LOCATOR64: [u8; 4] = *b"PK\x06\x07";

/// Size of a member's own header, before its name.
pub(super) const LOCAL_BYTES: usize = 30;
/// Size of a member's entry in the directory, before its name.
pub(super) const CENTRAL_BYTES: usize = 46;
/// Size of the end record, before the archive's comment.
pub(super) const END_BYTES: usize = 22;
/// Size of the 64-bit end record.
pub(super) const END64_BYTES: usize = 56;
/// Size of the record that locates it.
pub(super) const LOCATOR64_BYTES: usize = 20;

/// Stands in a 32-bit field whose value is in the zip64 extra field.
pub(super) const IN_ZIP64: u32 = u32::MAX;

/// Marks the zip64 extra field.
pub(super) const SIZES64: u16 = 1;

/// Sizes follow the data instead of standing in the member's header.
pub(super) const SIZES_FOLLOW: u16 = 1 << 3;
/// The name is UTF-8.
pub(super) const NAME_IS_UTF8: u16 = 1 << 11;
/// Any kind of encryption.
pub(super) const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// Method number of uncompressed data.
pub(super) const STORED: u16 = 0;
/// Method number of deflated data.
pub(super) const DEFLATED: u16 = 8;

/// Little-endian fields of a record at fixed places.
pub(super) trait FieldsAt {
    fn u16_at(&self, place: usize) -> u16;
    fn u32_at(&self, place: usize) -> u32;
    fn u64_at(&self, place: usize) -> u64;
}

// The places are constants inside records of fixed size, except where a caller checked.
impl FieldsAt for [u8] {
    fn u16_at(&self, place: usize) -> u16 {
        u16::from_le_bytes([self[place], self[place + 1]])
    }

    fn u32_at(&self, place: usize) -> u32 {
        u32::from(self.u16_at(place)) | u32::from(self.u16_at(place + 2)) << 16
    }

    fn u64_at(&self, place: usize) -> u64 {
        u64::from(self.u32_at(place)) | u64::from(self.u32_at(place + 4)) << 32
    }
}

/// A record that is being written, field by field.
#[derive(Default)]
pub(super) struct Record(pub Vec<u8>);

impl Record {
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }
}
