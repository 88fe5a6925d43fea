//! More than a launch or a chunk takes.

use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::{CopyOrder, DType, Tensor};

use crate::{bytes_of_elements, zoo};

#[test]
fn many_axes_are_copied_in_parts() {
    let _session = Session::start();
    // Eleven axes of two: more than a launch has room for, in an order that merges nowhere.
    let flat = Tensor::from_vec((0..2048_u16).collect());
    let host =
        flat.reshape(&[2; 11]).unwrap().permute(&[3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 10]).unwrap();
    let there = flat.cuda(0).unwrap().reshape(&[2; 11]).unwrap();
    let there = there.permute(&[3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 10]).unwrap();
    for (found, expected) in [
        (there.copy(CopyOrder::C).unwrap(), host.copy(CopyOrder::C).unwrap()),
        (
            there.flip(&[10]).unwrap().copy(CopyOrder::C).unwrap(),
            host.flip(&[10]).unwrap().copy(CopyOrder::C).unwrap(),
        ),
        (there.to_dtype(DType::F64).unwrap(), host.to_dtype(DType::F64).unwrap()),
    ] {
        assert_eq!(
            bytes_of_elements(&found),
            zoo::element_bytes(&expected.copy(CopyOrder::C).unwrap())
        );
    }
}

#[test]
fn transpositions_of_every_width_pass_through_tiles() {
    let session = Session::start();
    for dtype in [DType::U8, DType::I16, DType::F32, DType::F64, DType::C128] {
        let (rows, cols) = (70, 45);
        let host = Tensor::from_vec((0..rows * cols).collect::<Vec<i32>>());
        let host =
            host.to_dtype(dtype).unwrap().reshape(&[1, rows as isize, cols as isize]).unwrap();
        let there = host.cuda(0).unwrap();
        for axes in [[0, 2, 1], [2, 1, 0], [2, 0, 1]] {
            let expected = host.permute(&axes).unwrap().copy(CopyOrder::C).unwrap();
            let found = there.permute(&axes).unwrap().copy(CopyOrder::C).unwrap();
            assert_eq!(
                bytes_of_elements(&found),
                zoo::element_bytes(&expected),
                "{dtype} {axes:?}"
            );
            let reversed =
                there.flip(&[2]).unwrap().permute(&axes).unwrap().copy(CopyOrder::C).unwrap();
            let expected =
                host.flip(&[2]).unwrap().permute(&axes).unwrap().copy(CopyOrder::C).unwrap();
            assert_eq!(
                bytes_of_elements(&reversed),
                zoo::element_bytes(&expected),
                "{dtype} {axes:?}"
            );
        }
    }
    drop(session);
}

/// Past 32 MiB, pageable memory goes by way of page-locked chunks, on several threads.
#[test]
fn much_pageable_memory_is_staged() {
    let session = Session::start();
    let len = (33 << 20) + 12_345;
    let host = Tensor::from_vec((0..len).map(|n: usize| (n / 7) as u8).collect::<Vec<u8>>());
    let pinned = ndbridge_cuda_emulator::calls("cuMemHostAlloc");
    let there = host.cuda(0).unwrap();
    let back = there.cpu().unwrap();
    assert!(back.bytes().unwrap().iter().eq(host.bytes().unwrap().iter()));
    if session.is_emulated() {
        assert!(ndbridge_cuda_emulator::calls("cuMemHostAlloc") > pinned);
    }
}
