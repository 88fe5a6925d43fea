//! `.npy` files made by hand.

use crate::load_array;

fn file(version: u8, header_bytes: u32, text: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend_from_slice(&[version, 0]);
    bytes.extend_from_slice(&header_bytes.to_le_bytes()[..if version == 1 { 2 } else { 4 }]);
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(data);
    bytes
}

fn dict(descr: &str, order: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
    file(1, text.len() as u32, text.as_bytes(), &[1; 64])
}

#[test]
fn fil_1_lengths_that_lie_take_no_memory() {
    let long = |text: &str| file(2, text.len() as u32, text.as_bytes(), &[]);
    let nested = "[".repeat(900_000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("2 GB of header", file(2, 0x7fff_ffff, b"{", &[])),
        ("4 GB of header", file(3, u32::MAX, b"{", &[])),
        ("1 MiB of header claimed, none there", file(2, 1 << 20, b"", &[])),
        ("64 KB of header claimed, none there", file(1, 0xffff, b"", &[])),
        ("8 EB of data", dict("'|u1'", "False", "(9223372036854775807,)")),
        ("16 EB by overflow", dict("'<f8'", "False", "(2305843009213693953,)")),
        ("wraps to 0", dict("'<f8'", "False", "(4294967296, 4294967296)")),
        ("wraps to 16", dict("'<f8'", "False", "(9223372036854775810,)")),
        ("1 TB of data", dict("'<f8'", "True", "(1000000, 125000)")),
        ("one byte short", dict("'|u1'", "False", "(65,)")),
        ("zero hides an overflow", dict("'<f8'", "False", "(0, 4294967296, 4294967296)")),
        ("nested brackets", long(&format!("{{'descr': {nested}"))),
        ("nested parentheses", long(&format!("{{'shape': {}", nested.replace('[', "(")))),
        ("nested braces", long(&nested.replace('[', "{"))),
        ("a long number", long(&format!("{{'shape': ({}", "9".repeat(900_000)))),
        ("leading zeros", long(&format!("{{'shape': ({}", "0".repeat(900_000)))),
        ("many axes", long(&format!("{{'shape': ({}", "1,".repeat(400_000)))),
        ("a long key", long(&format!("{{'{}': 1}}", "k".repeat(900_000)))),
        ("a long dtype", long(&format!("{{'descr': '{}'}}", "x".repeat(900_000)))),
        ("many keys", long(&"{'descr': '<f8', ".repeat(50_000))),
        ("only spaces", long(&" ".repeat(900_000))),
        ("only quotes", long(&"'".repeat(900_000))),
        ("a pickle", [b"\x80\x04\x95".as_slice(), &[0; 100]].concat()),
        ("pickled objects", dict("'|O'", "False", "(1,)")),
        ("pickled objects in fields", dict("[('a', '|O')]", "False", "(1,)")),
        ("code", dict("'<f8'", "__import__('os').system('true')", "(1,)")),
        ("a negative axis", dict("'<f8'", "False", "(-1,)")),
        ("a negative pair", dict("'<f8'", "False", "(-2, -4)")),
    ];
    for (what, bytes) in cases {
        let error = load_array(what, &bytes).expect_err(what).to_string();
        assert!(error.len() < 400, "{what}: {error}");
    }
}

#[test]
fn headers_are_read_in_linear_time() {
    // A million brackets or digits in well under a second; quadratic would take minutes.
    let start = std::time::Instant::now();
    for text in ["[", "(", "{", "'", "9", "0", " ", "1,", "'a':"] {
        for start in ["", "{", "{'shape': (", "{'descr': '"] {
            let text = format!("{start}{}", text.repeat(1_000_000 / text.len()));
            let bytes = file(2, text.len() as u32, text.as_bytes(), &[]);
            assert!(load_array("long", &bytes).is_err());
        }
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
