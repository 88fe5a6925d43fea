//! Headers as text: what is read, what is refused and where.

use ndbridge_numpy::npy::Header;
use ndbridge_numpy::{FormatError, NumpyError};
use ndbridge_tensor::{DType, MAX_NDIM, Order};

use crate::support::npy_with;

fn parse(dict: &str) -> Result<Header, NumpyError> {
    Header::read(&mut npy_with(dict, &[]).as_slice(), None)
}

#[test]
fn unusual_spellings_are_read() {
    let same = [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
        "  {\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2,3,)}",
        "{\n 'descr' : '<f4' ,\n\t'fortran_order' : False ,\r\n 'shape' : ( 2 , 3 , ) ,\n }\n\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
    ];
    for dict in same {
        let header = parse(dict).unwrap_or_else(|error| panic!("{dict}: {error}"));
        let found = (header.dtype(), header.order(), header.shape());
        assert_eq!(found, (DType::F32, Order::C, &[2, 3][..]), "{dict}");
        assert_eq!(header.data_offset(), 10 + dict.len());
    }
    let shapes: [(&str, &[usize]); 5] =
        [("()", &[]), ("( )", &[]), ("(5,)", &[5]), ("(0,)", &[0]), ("(1, 0, 2)", &[1, 0, 2])];
    for (text, shape) in shapes {
        let dict = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {text}, }}");
        assert_eq!(parse(&dict).unwrap().shape(), shape, "{text}");
    }
}

/// One value of the dictionary replaced by something else.
fn with(key: &str, value: &str) -> String {
    let mut values = [("descr", "'<f4'"), ("fortran_order", "False"), ("shape", "(2, 3)")];
    for (name, old) in &mut values {
        if *name == key {
            *old = value;
        }
    }
    let pairs = values.map(|(name, value)| format!("'{name}': {value}"));
    format!("{{{}}}", pairs.join(", "))
}

#[test]
fn fil_1_hostile_dictionaries_are_refused_at_their_byte() {
    let deep = "(".repeat(50_000);
    let many = format!("({})", "1, ".repeat(MAX_NDIM + 1));
    let cases = [
        (with("shape", &deep), "the length of an axis"),
        (with("shape", "(2, (3, 4))"), "the length of an axis"),
        (with("shape", "[2, 3]"), "a tuple"),
        (with("shape", "(3)"), "a tuple such as (3,)"),
        (with("shape", "3"), "a tuple"),
        (with("shape", "(2 3)"), "',' or ')'"),
        (with("shape", "(,)"), "the length of an axis"),
        (with("shape", "(2,,3)"), "the length of an axis"),
        (with("shape", "(2.0,)"), "',' or ')'"),
        (with("shape", "(1e3,)"), "',' or ')'"),
        (with("shape", "(0x10,)"), "',' or ')'"),
        (with("shape", "(True,)"), "the length of an axis"),
        (with("shape", "(2**63,)"), "',' or ')'"),
        (with("shape", "(-1, 3)"), "axis 0 has a negative length"),
        (with("shape", "(2, -3)"), "axis 1 has a negative length"),
        (with("shape", "(18446744073709551616,)"), "the length of axis 0 does not fit"),
        (with("shape", "(99999999999999999999999999999999,)"), "does not fit"),
        (with("shape", "(4294967296, 4294967296)"), "does not fit"),
        (with("shape", "(4611686018427387905, 4)"), "does not fit"),
        (with("shape", "(0, 4294967296, 4294967296)"), "does not fit"),
        (with("shape", "(9223372036854775807,)"), "does not fit"),
        (with("shape", &many), "more than 64 axes"),
        (with("shape", "__import__('os')"), "a tuple"),
        (with("fortran_order", "1"), "True or False"),
        (with("fortran_order", "None"), "True or False"),
        (with("fortran_order", "Falsehood"), "',' or '}'"),
        (with("descr", "<f4"), "a type string in quotes"),
        (with("descr", "'<f4"), "found"),
        (with("descr", r"'\x3cf4'"), "a closing quote"),
        (with("descr", "None"), "a type string in quotes"),
        (with("descr", "''"), "dtype"),
        (with("descr", "'|O'"), "pickle"),
        (with("descr", "'<f5'"), "dtype"),
        (with("descr", &format!("'{}'", "x".repeat(60_000))), "dtype"),
        (with("descr", &format!("{}'<f4'", "[".repeat(60_000))), "structured"),
        (with("descr", "[('a', '<f4')]"), "structured"),
        (with("descr", "('<f4', (2,))"), "structured"),
        ("[1, 2]".into(), "'{'"),
        ("'text'".into(), "'{'"),
        (String::new(), "'{', found the end"),
        ("{".repeat(60_000), "a key in quotes"),
        ("{}".into(), "key 'descr' is missing"),
        ("{'descr': '<f4', 'shape': (1,)}".into(), "key 'fortran_order' is missing"),
        ("{'descr': '<f4', 'fortran_order': False}".into(), "key 'shape' is missing"),
        ("{'descr': '<f4', 'descr': '<f8'}".into(), "key 'descr' stands twice"),
        ("{'shape': (1,), 'shape': (1,)}".into(), "key 'shape' stands twice"),
        ("{'fortran_order': True, 'fortran_order': True}".into(), "stands twice"),
        ("{'evil': 1}".into(), "key \"evil\""),
        (format!("{{'{}': 1}}", "k".repeat(60_000)), "key \"kkk"),
        ("{descr: '<f4'}".into(), "a key in quotes"),
        ("{'descr' '<f4'}".into(), "':'"),
        (with("shape", "(2, 3)") + "}", "the end after '}'"),
        (with("shape", "(2, 3)") + " ; import os", "the end after '}'"),
        (with("shape", "(2, 3)").replace('}', ""), "',' or '}', found the end"),
        ("\u{0}".repeat(100), "'{'"),
    ];
    for (dict, expected) in cases {
        let shown = &dict[..dict.len().min(80)];
        let error = parse(&dict).expect_err(shown).to_string();
        assert!(error.contains(expected), "{shown}\n  gave {error}\n  expected {expected}");
        assert!(error.starts_with("stream, byte ") && error.len() < 400, "{error}");
    }
}

#[test]
fn fil_2_the_offset_points_at_the_byte() {
    let dict = with("shape", "(2, x)");
    let error = parse(&dict).unwrap_err();
    let NumpyError::Format { offset, reason, .. } = error else { panic!("{error}") };
    assert_eq!(offset as usize, 10 + dict.find('x').unwrap());
    assert!(matches!(reason, FormatError::Syntax { found: Some(b'x'), .. }));
}

#[test]
fn fil_1_lengths_are_held_against_the_file() {
    let good = npy_with(&with("shape", "(2, 3)"), &[0; 24]);
    let read = |bytes: &[u8]| Header::read(&mut &*bytes, Some(bytes.len() as u64));
    let header = read(&good).unwrap();
    assert_eq!((header.data_bytes(), header.data_offset()), (24, good.len() - 24));
    // A file cut anywhere is refused, with the numbers that do not fit.
    for len in 0..good.len() {
        let error = read(&good[..len]).unwrap_err();
        let NumpyError::Format { reason, .. } = &error else { panic!("{error}") };
        let is_expected = match reason {
            FormatError::HeaderTruncated { expected, found } => found < expected,
            FormatError::DataTruncated { expected: 24, found } => {
                *found == (len - header.data_offset()) as u64
            }
            _ => false,
        };
        assert!(is_expected, "{len}: {error}");
    }
    // Bytes behind the array are ignored, as NumPy does.
    assert!(read(&[good.as_slice(), b"more"].concat()).is_ok());
    let mut long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    assert!(read(&long).unwrap_err().to_string().contains("header of 4294967295 B, file has 0 B"));
    long.extend_from_slice(&[b' '; 100]);
    let error = Header::read(&mut long.as_slice(), None).unwrap_err().to_string();
    assert!(error.contains("at most 1048576 B"), "{error}");
}

#[test]
fn other_formats_are_named() {
    let cases: [(&[u8], &str); 7] = [
        (b"PK\x03\x04 an archive", "npz::load()"),
        (b"PK\x05\x06 an empty archive", "npz::load()"),
        (b"\x80\x04\x95 a pickle...", "never executed"),
        (b"\x89HDF\r\n\x1a\n", "expected \\x93NUMPY, found \\x89HDF\\r\\n"),
        (b"\x93NUMPY\x04\x00\x00\x00", "format version 4.0"),
        (b"\x93NUMPY\x01\x01\x00\x00", "format version 1.1"),
        (b"", "header of 10 B, file has 0 B left"),
    ];
    for (mut bytes, expected) in cases {
        let error = Header::read(&mut bytes, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_header_too_long_for_version_1_is_written_as_version_2() {
    // 64 axes of 20 digits fit version 1 by far, so this only checks where the bytes go.
    let header = Header::new(DType::I8, Order::F, &[1; MAX_NDIM]).unwrap();
    let bytes = header.to_bytes().unwrap();
    assert_eq!((bytes[6], bytes.len() % 64), (1, 0));
    assert_eq!(Header::read(&mut bytes.as_slice(), None).unwrap().shape(), [1; MAX_NDIM]);
    assert!(Header::new(DType::I8, Order::C, &[1; MAX_NDIM + 1]).is_none());
    assert!(Header::new(DType::I16, Order::C, &[usize::MAX / 2]).is_none());
}
