//! `.npz` files made by hand.

use ndbridge_numpy::{npy, npz};
use ndbridge_tensor::{DType, Tensor};

use crate::zip_builder::{End, Part, archive, archive_with, deflated, part};
use crate::{load_archive, map_archive};

/// Room that a member takes beyond what a malformed file may.
const LARGE_BYTES: usize = 18 << 20;

fn npy_of(values: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write(&mut bytes, &Tensor::from_vec(values.to_vec())).unwrap();
    bytes
}

/// An `.npy` header for `len` bytes, then `data_bytes` zeros.
fn npy_claiming(len: usize, data_bytes: usize) -> Vec<u8> {
    let header = npy::Header::new(DType::U8, ndbridge_tensor::Order::C, &[len]).unwrap();
    let mut bytes = header.to_bytes().unwrap();
    bytes.resize(bytes.len() + data_bytes, 0);
    bytes
}

fn good() -> Part {
    part("a.npy", &npy_of(&[1, 2, 3]))
}

#[test]
fn the_builder_makes_good_archives() {
    let parts = [good(), deflated("b.npy", &npy_of(&[4; 500])), part("c.npy", &npy_of(&[]))];
    for end in [End::default(), End { zip64: true, ..End::default() }] {
        let bytes = archive_with(&parts, end);
        let arrays = load_archive("good", &bytes).unwrap();
        assert_eq!(arrays.len(), 3);
        assert_eq!(arrays[1].1.to_vec::<u8>().unwrap(), [4; 500]);
    }
}

/// Each case with a piece of the error it has to give.
fn check(cases: Vec<(&str, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    for (expected, bytes) in cases {
        for outcome in [load_archive(expected, &bytes), map_archive(expected, &path, &bytes)] {
            let error = outcome.expect_err(expected).to_string();
            assert!(error.contains(expected), "expected {expected}, found {error}");
            assert!(error.contains(", byte ") && error.len() < 500, "{error}");
        }
    }
}

#[test]
fn fil_1_end_records_that_lie_are_refused() {
    let lie = |end: End| archive_with(&[good(), part("b.npy", &npy_of(&[1]))], end);
    let lie64 = |end: End| lie(End { zip64: true, ..end });
    let whole = archive(&[good()]);
    check(vec![
        ("number of members", lie(End { count: Some(0), ..End::default() })),
        ("number of members", lie(End { count: Some(1), ..End::default() })),
        ("number of members", lie(End { count: Some(3), ..End::default() })),
        ("number of members", lie(End { count: Some(0xffff), ..End::default() })),
        ("number of members", lie64(End { count: Some(u64::MAX), ..End::default() })),
        ("number of members", lie64(End { count: Some(1 << 40), ..End::default() })),
        ("directory", lie(End { len_bytes: Some(0xffff_ffff), ..End::default() })),
        ("directory", lie64(End { len_bytes: Some(u64::MAX), ..End::default() })),
        ("directory entry", lie(End { len_bytes: Some(101), offset: Some(0), ..End::default() })),
        ("start of the directory", lie(End { offset: Some(0xffff_ffff), ..End::default() })),
        ("start of the directory", lie64(End { offset: Some(u64::MAX), ..End::default() })),
        ("several disks", lie(End { disk: 1, ..End::default() })),
        ("several disks", lie64(End { disk: 1, ..End::default() })),
        ("no zip end record", whole[..whole.len() - 1].to_vec()),
        ("no zip end record", whole[..60].to_vec()),
        ("no zip end record", vec![b'x'; 200_000]),
        ("no zip end record", b"PK\x05\x06".to_vec()),
        ("no zip end record", npy_of(&[1, 2, 3])),
    ]);
}

#[test]
fn fil_1_members_that_lie_are_refused() {
    let with = |change: fn(&mut Part)| {
        let mut first = good();
        change(&mut first);
        archive(&[first, part("b.npy", &npy_of(&[9; 300]))])
    };
    check(vec![
        ("overlap", with(|part| part.packed = 200_000)),
        ("member header is broken", with(|part| part.header_at = Some(1))),
        ("overlap", with(|part| part.header_at = Some(161))),
        ("ends at byte", with(|part| part.header_at = Some(0xffff_fff0))),
        ("unpacked size of a stored member", with(|part| part.unpacked += 1)),
        ("unpacked size of a stored member", with(|part| part.unpacked = u32::MAX - 1)),
        ("ends at byte", {
            // The directory leaves no room for the name in the member's own header.
            let mut first = good();
            first.local = |part| part.name = vec![b'n'; 60_000];
            let mut bytes = archive(&[first, good_named("b.npy")]);
            // Cut the name out again, so that the members lie closer than it says.
            bytes.drain(30..30 + 60_000);
            shift_directory(bytes, 60_000)
        }),
        ("encrypted", with(|part| part.flags = 1)),
        ("encrypted", with(|part| part.local = |part| part.flags = 1)),
        ("compression method 12", with(|part| part.method = 12)),
        ("compression method 99", with(|part| part.method = 99)),
        ("compression method in the member", with(|part| part.local = |part| part.method = 8)),
        ("checksum in the member", with(|part| part.local = |part| part.crc ^= 1)),
        ("packed size in the member", with(|part| part.local = |part| part.packed += 1)),
        ("name in the member", with(|part| part.local = |part| part.name[0] = b'b')),
        ("two members give the array \"b\"", with(|part| part.name = b"b.npy".to_vec())),
        ("two members give the array \"b\"", with(|part| part.name = b"b".to_vec())),
        ("is not UTF-8", with(|part| (part.flags, part.name) = (1 << 11, vec![0xff; 4]))),
        ("extra field is broken", with(|part| part.extra = vec![7, 0, 9, 0, 1])),
        (
            "zip64 extra field is broken",
            with(|part| {
                (part.packed, part.extra) = (u32::MAX, vec![1, 0, 4, 0, 1, 2, 3, 4]);
            }),
        ),
        (
            "overlap",
            with(|part| {
                // A zip64 length that wraps every sum.
                (part.packed, part.extra) =
                    (u32::MAX, [[1, 0, 8, 0].as_slice(), &[0xff; 8]].concat());
            }),
        ),
        ("not an .npy file", archive(&[part("a.npy", &[b'x'; 300])])),
        ("never executed", archive(&[part("a.npy", &[b"\x80\x04".as_slice(), &[0; 99]].concat())])),
        ("header of 10 B, file has 0 B left", archive(&[part("a.npy", b"")])),
        ("an .npy file", archive(&[part("inner.npz", &archive(&[good()]))])),
        ("array file of 328 B", archive(&[part("a.npy", &npy_claiming(200, 201))])),
        ("array of 200 B, file has 199 B", archive(&[part("a.npy", &npy_claiming(200, 199))])),
    ]);
}

fn good_named(name: &str) -> Part {
    part(name, &npy_of(&[1, 2, 3]))
}

/// Moves what the directory says of the second member and of itself down by `removed` bytes.
fn shift_directory(mut bytes: Vec<u8>, removed: u32) -> Vec<u8> {
    let end = bytes.len() - 22;
    let second = end - 46 - "b.npy".len();
    for place in [second + 42, end + 16] {
        let field = &mut bytes[place..place + 4];
        let old = u32::from_le_bytes(field.try_into().unwrap());
        field.copy_from_slice(&(old - removed).to_le_bytes());
    }
    bytes
}

#[test]
fn a_wrong_checksum_is_found_where_bytes_are_copied() {
    for packed in [good(), deflated("a.npy", &npy_of(&[1, 2, 3]))] {
        let bytes = archive(&[Part { crc: packed.crc ^ 1, ..packed }]);
        let error = load_archive("checksum", &bytes).unwrap_err().to_string();
        assert!(error.contains("cannot unpack: expected checksum"), "{error}");
    }
    // Mapping does not read what it shares.
    let bytes = archive(&[Part { crc: good().crc ^ 1, ..good() }]);
    let folder = tempfile::tempdir().unwrap();
    assert!(map_archive("mapped", &folder.path().join("x.npz"), &bytes).is_ok());
}

#[test]
fn fil_1_claims_of_huge_sizes_take_no_memory() {
    let large = npy_claiming(LARGE_BYTES, LARGE_BYTES);
    let honest = deflated("a.npy", &large);
    let (packed, unpacked) = (honest.packed, honest.unpacked);
    assert!(packed < 100_000, "{packed}");
    let with = |change: fn(&mut Part)| {
        let mut part = deflated("a.npy", &npy_claiming(4_000_000_000, 1_000_000));
        change(&mut part);
        archive(&[part])
    };
    let stretched = {
        // As many bytes as the packed ones could give at best, and a stream that ends early.
        let len = (u64::from(packed) * 1000) as usize;
        let mut part = deflated("a.npy", &npy_claiming(len, LARGE_BYTES));
        part.unpacked = len as u32 + 128;
        archive(&[part])
    };
    check(vec![
        ("cannot unpack to 4000000128 B", with(|part| part.unpacked = 4_000_000_128)),
        ("array of 4000000000 B, file has 1000000 B", with(|_| {})),
        ("array of 18874368 B", stretched_short(&honest)),
        ("cannot unpack", stretched),
        ("cannot unpack", archive(&[Part { crc: honest.crc ^ 1, ..honest.clone() }])),
        ("cannot unpack", archive(&[good_named("b.npy"), Part { crc: 0, ..honest.clone() }])),
        (
            "cannot unpack",
            archive(&[Part { data: half(&honest.data), packed: packed / 2, ..honest.clone() }]),
        ),
        ("cannot unpack", {
            let mut part = deflated("a.npy", &npy_claiming(1000, LARGE_BYTES));
            part.unpacked = 1128;
            archive(&[part])
        }),
        // The first member is whole and large, the second is not.
        ("cannot unpack", {
            let bad = deflated("b.npy", &npy_of(&[1; 1000]));
            archive(&[honest.clone(), Part { crc: 0, ..bad }])
        }),
    ]);
    // The same member, undamaged, loads.
    let arrays = npz::Npz::new(std::io::Cursor::new(archive(&[honest]))).unwrap().load_all();
    assert_eq!(arrays.unwrap()[0].1.size_bytes() + 128, unpacked as usize);
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// The directory says less than the array's header.
fn stretched_short(honest: &Part) -> Vec<u8> {
    archive(&[Part { unpacked: honest.unpacked - 1, ..honest.clone() }])
}

#[test]
fn fil_1_many_members_take_no_more_than_the_file() {
    // Entries in a directory without a single member before it.
    let entry = {
        let whole = archive(&[part("aaaa.npy", b"")]);
        whole[38..whole.len() - 22].to_vec()
    };
    let count = 60_000_u64;
    let mut bytes = Vec::new();
    for number in 0..count {
        bytes.extend_from_slice(&entry);
        let name = bytes.len() - 8;
        bytes[name..name + 3].copy_from_slice(&number.to_le_bytes()[..3]);
    }
    let len = bytes.len() as u64;
    let tail = archive_with(
        &[],
        End { count: Some(count), len_bytes: Some(len), offset: Some(0), ..End::default() },
    );
    bytes.extend_from_slice(&tail);
    check(vec![("number of members is 60000, found 0", bytes)]);
}
