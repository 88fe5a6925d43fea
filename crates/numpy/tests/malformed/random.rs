//! Random bytes, and random changes to good ones.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use crate::mutation::{Dice, mutate};
use crate::zip_builder::{archive, deflated, part};
use crate::{load_archive, load_array};

/// Text in which all that a header is made of occurs.
fn header_text() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        "[ {}()\\[\\]:,'\"\\-L0-9]".prop_map(String::from),
        Just("'descr': ".to_owned()),
        Just("'fortran_order': ".to_owned()),
        Just("'shape': ".to_owned()),
        Just("'<f8', ".to_owned()),
        Just("'>i2'".to_owned()),
        Just("True, ".to_owned()),
        Just("False".to_owned()),
        Just("(2, 3), ".to_owned()),
        "[0-9]{1,22}",
    ];
    vec(token, 0..20).prop_map(|tokens| tokens.concat().into_bytes())
}

fn npy_file(version: u8, text: &[u8], data: &[u8]) -> Vec<u8> {
    let len = (text.len() as u32).to_le_bytes();
    let len = if version == 1 { &len[..2] } else { &len[..] };
    [b"\x93NUMPY", &[version, 0][..], len, text, data].concat()
}

/// A good file that a few changes make something else.
fn good_array() -> Vec<u8> {
    let text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }     \n";
    npy_file(1, text, &[0; 48])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn fil_2_random_bytes_are_no_array(bytes in vec(any::<u8>(), 0..300)) {
        assert!(load_array("random", &bytes).is_err());
        assert!(load_archive("random", &bytes).is_err());
    }

    #[test]
    fn fil_2_random_headers_are_contained(
        version in 0_u8..5,
        text in header_text(),
        data in vec(any::<u8>(), 0..100),
    ) {
        let _ = load_array("random header", &npy_file(version, &text, &data));
        let braced = [b"{", &text[..], b"}"].concat();
        let _ = load_array("random header", &npy_file(version, &braced, &data));
    }

    #[test]
    fn fil_2_random_changes_are_contained(seed: u64, changes in 1_usize..12) {
        let mut dice = Dice(seed);
        let mut bytes = good_array();
        let mut both = archive(&[part("a.npy", &bytes), deflated("b.npy", &bytes)]);
        for _ in 0..changes {
            mutate(&mut bytes, &mut dice);
            mutate(&mut both, &mut dice);
        }
        let _ = load_array("changed", &bytes);
        let _ = load_archive("changed", &both);
        // Changes inside a member whose checksum is right all the same.
        let _ = load_archive("changed inside", &archive(&[part("a.npy", &bytes)]));
        let _ = load_archive("changed inside", &archive(&[deflated("a.npy", &bytes)]));
    }
}
