//! Files of NumPy's with something broken, by a fixed seed.

use ndbridge_numpy::npy::Header;
use ndbridge_tensor::dtype::ByteOrder;

use crate::{data_files, load_archive, load_array, map_archive};

/// A small generator: the same numbers on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit.max(1)
    }
}

/// Numbers that lengths and offsets like least.
const HOSTILE: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fff0,
    u64::MAX,
];

/// Breaks something, and says what.
pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    // Most that matters is near the beginning or, in archives, near the end.
    let place = match dice.below(3) {
        0 => dice.below(bytes.len().min(140)),
        1 => bytes.len().saturating_sub(1 + dice.below(320)),
        _ => dice.below(bytes.len()),
    };
    match dice.below(8) {
        0 => {
            bytes.truncate(place);
            format!("cut at {place}")
        }
        1 => {
            let bit = dice.below(8);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << bit;
            }
            format!("bit {bit} of byte {place} flipped")
        }
        2 => {
            let value = dice.below(256) as u8;
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
            format!("byte {place} set to {value}")
        }
        3 | 4 => {
            let (value, len) = (HOSTILE[dice.below(HOSTILE.len())], [2, 4, 8][dice.below(3)]);
            let end = (place + len).min(bytes.len());
            bytes[place..end].copy_from_slice(&value.to_le_bytes()[..end - place]);
            format!("{value:#x} at {place}..{end}")
        }
        5 => {
            let end = (place + 1 + dice.below(40)).min(bytes.len());
            bytes.drain(place..end);
            format!("{place}..{end} removed")
        }
        6 => {
            let end = (place + 1 + dice.below(40)).min(bytes.len());
            let copied = bytes[place..end].to_vec();
            bytes.splice(place..place, copied);
            format!("{place}..{end} doubled")
        }
        _ => {
            let digits = "9".repeat(1 + dice.below(25));
            let at = bytes.iter().skip(place).position(u8::is_ascii_digit).map(|at| at + place);
            if let Some(at) = at {
                bytes.splice(at..=at, digits.bytes());
            }
            format!("{digits} at {at:?}")
        }
    }
}

/// A broken version of one of NumPy's files, and what was done to it.
fn broken(files: &[(String, Vec<u8>)], dice: &mut Dice) -> (String, Vec<u8>) {
    let (name, bytes) = &files[dice.below(files.len())];
    let (mut what, mut bytes) = (name.clone(), bytes.clone());
    for _ in 0..=dice.below(3) {
        what = format!("{what}, {}", mutate(&mut bytes, dice));
    }
    (what, bytes)
}

fn files(extension: &str) -> Vec<(String, Vec<u8>)> {
    let paths = data_files(extension).into_iter();
    paths.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Checks that an array that was loaded nevertheless is what the file says.
fn assert_is_what_the_file_says(what: &str, bytes: &[u8], tensor: &ndbridge_tensor::Tensor) {
    let header = Header::read(&mut &*bytes, None).unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (header.dtype(), header.shape()), "{what}");
    let stored = &bytes[header.data_offset()..][..header.data_bytes()];
    let mut data = stored.to_vec();
    if header.byte_order() != ByteOrder::NATIVE {
        data.chunks_mut(header.dtype().component_bytes()).for_each(<[u8]>::reverse);
    }
    let linear = match header.order() {
        ndbridge_tensor::Order::C => tensor.clone(),
        ndbridge_tensor::Order::F => tensor.transpose().unwrap(),
    };
    assert!(*linear.bytes().unwrap() == data, "{what}");
}

#[test]
fn fil_2_broken_arrays_are_errors() {
    let (files, mut dice) = (files("npy"), Dice(1));
    let mut errors = 0;
    for _ in 0..4000 {
        let (what, bytes) = broken(&files, &mut dice);
        match load_array(&what, &bytes) {
            Ok(arrays) => assert_is_what_the_file_says(&what, &bytes, &arrays[0].1),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 1500, "{errors}");
}

#[test]
fn fil_2_broken_archives_are_errors() {
    let (files, mut dice) = (files("npz"), Dice(2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let mut errors = 0;
    for round in 0..4000 {
        let (what, bytes) = broken(&files, &mut dice);
        errors += usize::from(load_archive(&what, &bytes).is_err());
        if round % 4 == 0 {
            let _ = map_archive(&what, &path, &bytes);
        }
    }
    assert!(errors > 1500, "{errors}");
}
