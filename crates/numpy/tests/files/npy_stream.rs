//! Arrays read from streams whose length is not known.

use std::io::{self, Read};

use ndbridge_numpy::npy;
use ndbridge_tensor::{Tensor, array_equal};

use crate::support::{npy_bytes, npy_with};

/// Gives bytes in small portions and now and then an interruption, as pipes do.
struct Pipe<'a> {
    bytes: &'a [u8],
    turn: usize,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(self.bytes.len()).min(1 + self.turn * 37 % 5000);
        let (head, rest) = self.bytes.split_at(len);
        buffer[..len].copy_from_slice(head);
        self.bytes = rest;
        Ok(len)
    }
}

#[test]
fn small_and_large_arrays_arrive_whole() {
    for len in [0, 1, 1000, 500_000] {
        let values = (0..len).map(|k| k as f64 * 0.5).collect::<Vec<_>>();
        let tensor = Tensor::from_vec(values);
        let bytes = npy_bytes(&tensor);
        let read = npy::read(Pipe { bytes: &bytes, turn: 0 }, None).unwrap();
        assert!(array_equal(&read, &tensor).unwrap(), "{len}");
        assert_eq!(read.as_ptr().addr() % 64, 0);
    }
}

#[test]
fn the_stream_is_left_right_behind_the_array() {
    let (first, second) = (Tensor::from_vec(vec![1_u8; 3]), Tensor::from_vec(vec![2_i64; 2]));
    let bytes = [npy_bytes(&first), npy_bytes(&second), b"rest".to_vec()].concat();
    let mut stream = bytes.as_slice();
    for expected in [&first, &second] {
        assert!(array_equal(&npy::read(&mut stream, None).unwrap(), expected).unwrap());
    }
    assert_eq!(stream, b"rest");
}

#[test]
fn fil_2_a_stream_that_ends_early_says_how_far_it_came() {
    let dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846975,)}";
    let bytes = npy_with(dict, &vec![7; 3_000_000]);
    let error = npy::read(bytes.as_slice(), None).unwrap_err().to_string();
    assert!(error.contains("array of 9223372036854775800 B, file has 3000000 B left"), "{error}");
    let error = npy::read(bytes.as_slice(), Some(bytes.len() as u64)).unwrap_err().to_string();
    assert!(error.contains("file has 3000000 B left"), "{error}");
}

#[test]
fn errors_of_the_stream_come_through() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the wire is cut"))
        }
    }
    let error = npy::read(Broken, None).unwrap_err().to_string();
    assert_eq!(error, "stream: the wire is cut");
}
