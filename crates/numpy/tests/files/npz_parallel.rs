//! Archives that are large enough for several threads.

use ndbridge_numpy::npz;
use ndbridge_tensor::{Tensor, copies, no_copy};

const MEMBERS: usize = 9;
const LEN: usize = 200_000;

fn tensor(member: usize) -> Tensor {
    Tensor::from_vec((0..LEN).map(|at| (at * 31 + member) as f64).collect::<Vec<_>>())
}

fn saved(folder: &tempfile::TempDir, deflate: bool) -> std::path::PathBuf {
    let path = folder.path().join(if deflate { "deflated.npz" } else { "stored.npz" });
    let tensors: Vec<(String, Tensor)> =
        (0..MEMBERS).map(|member| (format!("m{member}"), tensor(member))).collect();
    let named = tensors.iter().map(|(name, tensor)| (name, tensor));
    let done = if deflate { npz::save_compressed(&path, named) } else { npz::save(&path, named) };
    done.unwrap();
    path
}

#[test]
fn every_member_is_loaded_in_order_and_counted_here() {
    let folder = tempfile::tempdir().unwrap();
    for deflate in [false, true] {
        let path = saved(&folder, deflate);
        let before = copies();
        let arrays = npz::load(&path).unwrap();
        let after = copies();
        assert_eq!(after.copies - before.copies, MEMBERS as u64);
        assert_eq!(after.bytes - before.bytes, (MEMBERS * LEN * 8) as u64);
        assert_eq!(arrays.len(), MEMBERS);
        for (member, (name, array)) in arrays.iter().enumerate() {
            assert_eq!(name, &format!("m{member}"));
            assert_eq!(array.to_vec::<f64>().unwrap(), tensor(member).to_vec::<f64>().unwrap());
            assert_eq!(array.receipt().copied_bytes(), LEN * 8);
        }
    }
}

#[test]
fn copies_that_are_forbidden_here_are_made_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(&folder, false);
    let scope = no_copy();
    let error = npz::load(&path).unwrap_err().to_string();
    drop(scope);
    assert!(error.starts_with("npz::load would copy 1.5 MiB"), "{error}");
}

#[test]
fn fil_2_the_first_broken_member_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for deflate in [false, true] {
        let path = saved(&folder, deflate);
        let mut bytes = std::fs::read(&path).unwrap();
        let (len, step) = (bytes.len(), bytes.len() / MEMBERS);
        for member in [3, 7] {
            bytes[len * member / MEMBERS + step / 2] ^= 0x10;
        }
        std::fs::write(&path, bytes).unwrap();
        for _ in 0..5 {
            let error = npz::load(&path).unwrap_err().to_string();
            assert!(error.contains("m3.npy"), "{error}");
        }
    }
}
