//! The same text as NumPy's, for cases that `tests/print_cases/generate.py` had NumPy print.

use std::cell::Cell;

use ndbridge_dtype::{Complex, DType, Scalar, f16};

use super::Printed;

const CASES: &str = include_str!("../../tests/print_cases/arrays.txt");

fn float(bits: &str, width: usize) -> f64 {
    let bits = u64::from_str_radix(bits, 16).unwrap();
    match width {
        4 => f16::from_bits(bits as u16).to_f64(),
        8 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

fn scalar(text: &str, dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(text == "1"),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => Scalar::UInt(text.parse().unwrap()),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => Scalar::Int(text.parse().unwrap()),
        DType::C64 | DType::C128 => {
            let (re, im) = text.split_once('+').unwrap();
            Scalar::Complex(Complex::new(float(re, re.len()), float(im, im.len())))
        }
        _ => Scalar::Float(float(text, text.len())),
    }
}

fn flat_index(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |at, (i, len)| at * len + i)
}

#[test]
fn bodies_equal_numpys() {
    let (step, longest) = if cfg!(miri) { (40, 200) } else { (1, usize::MAX) };
    for case in CASES.lines().filter(|case| case.len() < longest).step_by(step) {
        let mut cells = case.splitn(4, ' ');
        let mut cell = || cells.next().expect(case);
        let dtype: DType = cell().parse().unwrap();
        let shape: Vec<usize> = cell()
            .split(',')
            .filter(|len| !len.is_empty())
            .map(|len| len.parse().unwrap())
            .collect();
        let values: Vec<Scalar> = cell().split(',').map(|text| scalar(text, dtype)).collect();
        let expected = cell().replace("\\n", "\n");
        let at = |index: &[usize]| values[flat_index(index, &shape) % values.len()];
        let found = Printed { shape: &shape, dtype, device: None, at: &at }.body();
        assert_eq!(found, expected, "{case}\n{found}\n{expected}");
    }
}

fn repr(shape: &[usize], dtype: DType, value: Scalar) -> String {
    Printed { shape, dtype, device: None, at: &|_| value }.repr()
}

#[test]
fn the_dtype_is_always_shown_and_the_shape_where_elements_do_not_tell() {
    let one = Scalar::Float(1.0);
    assert_eq!(repr(&[], DType::F32, one), "tensor(1., dtype=float32)");
    assert_eq!(
        repr(&[2, 2], DType::F64, one),
        "tensor([[1., 1.],\n        [1., 1.]], dtype=float64)"
    );
    assert_eq!(repr(&[0], DType::I8, one), "tensor([], shape=(0,), dtype=int8)");
    assert_eq!(repr(&[2, 0], DType::F16, one), "tensor([], shape=(2, 0), dtype=float16)");
    assert_eq!(
        repr(&[1001], DType::BF16, one),
        "tensor([1., 1., 1., ..., 1., 1., 1.], shape=(1001,), dtype=bfloat16)"
    );
    let ones = "1, ".repeat(17) + "1";
    assert_eq!(
        repr(&[18], DType::I64, Scalar::Int(1)), // 75 characters
        format!("tensor([{ones}], dtype=int64)")
    );
    assert_eq!(
        repr(&[18], DType::U64, Scalar::UInt(1)),
        format!("tensor([{ones}],\n       dtype=uint64)")
    );
    assert!(!repr(&[1000], DType::Bool, Scalar::Bool(true)).contains("..."));
}

#[test]
fn only_elements_that_are_shown_are_read() {
    let reads = Cell::new(0);
    let at = |index: &[usize]| {
        assert!(index.iter().all(|&at| !(3..1 << 40).contains(&at)), "{index:?}");
        reads.set(reads.get() + 1);
        Scalar::UInt(7)
    };
    let shape = [(1 << 40) + 3, (1 << 40) + 3];
    let text = Printed { shape: &shape, dtype: DType::U8, device: None, at: &at }.repr();
    assert_eq!(reads.get(), 36);
    assert_eq!(text.matches("...").count(), 7);
    let unread = |_: &[usize]| -> Scalar { panic!("nothing to read") };
    Printed { shape: &[0, 5], dtype: DType::F32, device: None, at: &unread }.repr();
}

#[test]
fn many_axes_leave_no_room_but_print() {
    let text = repr(&[1; 64], DType::Bool, Scalar::Bool(true));
    assert!(text.starts_with("tensor([[["), "{text}");
    assert!(text.contains("[ True]"), "{text}");
}
