//! Zip archives whose every field can lie.

use std::io::Write as _;

use flate2::write::DeflateEncoder;

/// One member, and what its two headers say of it.
#[derive(Clone)]
pub struct Part {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u32,
    pub unpacked: u32,
    /// In the directory; `None` for where the member is.
    pub header_at: Option<u32>,
    pub extra: Vec<u8>,
    /// What the member's own header says instead.
    pub local: fn(&mut Part),
}

/// A stored member.
pub fn part(name: &str, data: &[u8]) -> Part {
    let len = data.len() as u32;
    Part {
        name: name.as_bytes().to_vec(),
        data: data.to_vec(),
        flags: 0,
        method: 0,
        crc: crc32(data),
        packed: len,
        unpacked: len,
        header_at: None,
        extra: Vec::new(),
        local: |_| {},
    }
}

/// A deflated member.
pub fn deflated(name: &str, data: &[u8]) -> Part {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    let packed_data = encoder.finish().unwrap();
    let packed = packed_data.len() as u32;
    Part {
        data: packed_data,
        method: 8,
        packed,
        crc: crc32(data),
        unpacked: data.len() as u32,
        ..part(name, &[])
    }
}

fn crc32(data: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        let mut crc = crc ^ u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    };
    !data.iter().fold(u32::MAX, byte)
}

fn push(bytes: &mut Vec<u8>, fields: &[(usize, u64)]) {
    for &(len, value) in fields {
        bytes.extend_from_slice(&value.to_le_bytes()[..len]);
    }
}

/// What the end record says instead of the truth.
#[derive(Clone, Copy, Default)]
pub struct End {
    pub count: Option<u64>,
    pub len_bytes: Option<u64>,
    pub offset: Option<u64>,
    pub disk: u64,
    pub zip64: bool,
}

pub fn archive(parts: &[Part]) -> Vec<u8> {
    archive_with(parts, End::default())
}

pub fn archive_with(parts: &[Part], end: End) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for part in parts {
        let header_at = bytes.len() as u32;
        push_local(&mut bytes, part);
        push_central(&mut directory, part, header_at);
    }
    let (offset, len) = (bytes.len() as u64, directory.len() as u64);
    bytes.extend_from_slice(&directory);
    let count = end.count.unwrap_or(parts.len() as u64);
    let (len, offset) = (end.len_bytes.unwrap_or(len), end.offset.unwrap_or(offset));
    if end.zip64 {
        let at = bytes.len() as u64;
        let disk = end.disk;
        push(&mut bytes, &[(4, 0x0606_4b50), (8, 44), (2, 45), (2, 45), (4, disk), (4, disk)]);
        push(&mut bytes, &[(8, count), (8, count), (8, len), (8, offset)]);
        push(&mut bytes, &[(4, 0x0706_4b50), (4, 0), (8, at), (4, 1)]);
        push(&mut bytes, &[(4, 0x0605_4b50), (2, 0), (2, 0), (2, 0xffff), (2, 0xffff)]);
        push(&mut bytes, &[(4, 0xffff_ffff), (4, 0xffff_ffff), (2, 0)]);
    } else {
        push(&mut bytes, &[(4, 0x0605_4b50), (2, end.disk), (2, end.disk), (2, count), (2, count)]);
        push(&mut bytes, &[(4, len), (4, offset), (2, 0)]);
    }
    bytes
}

fn push_local(bytes: &mut Vec<u8>, part: &Part) {
    let data = part.data.clone();
    let mut part = part.clone();
    (part.local)(&mut part);
    push(bytes, &[(4, 0x0403_4b50), (2, 20), (2, part.flags.into()), (2, part.method.into())]);
    push(bytes, &[(4, 0), (4, part.crc.into()), (4, part.packed.into())]);
    push(bytes, &[(4, part.unpacked.into()), (2, part.name.len() as u64), (2, 0)]);
    bytes.extend_from_slice(&part.name);
    bytes.extend_from_slice(&data);
}

fn push_central(bytes: &mut Vec<u8>, part: &Part, header_at: u32) {
    push(bytes, &[(4, 0x0201_4b50), (2, 20), (2, 20), (2, part.flags.into())]);
    push(bytes, &[(2, part.method.into()), (4, 0), (4, part.crc.into()), (4, part.packed.into())]);
    push(bytes, &[(4, part.unpacked.into()), (2, part.name.len() as u64)]);
    push(bytes, &[(2, part.extra.len() as u64), (2, 0), (2, 0), (2, 0), (4, 0)]);
    push(bytes, &[(4, part.header_at.unwrap_or(header_at).into())]);
    bytes.extend_from_slice(&part.name);
    bytes.extend_from_slice(&part.extra);
}
