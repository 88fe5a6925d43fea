//! DTY-3: what a value becomes depends neither on how many there are nor on where it stands.
//! (In NumPy it does: a NaN to uint32 is 0 or 2^31, by the length of the array.)

use std::mem::MaybeUninit;

use ndbridge_dtype::{
    DType, Element, Scalar, convert, convert_slice, convert_slice_uninit, match_dtype,
};

const VALUES: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    -1.0,
    0.999,
    127.9,
    256.7,
    -129.5,
    65520.0,
    5e9,
    -1e20,
];

/// `len` elements of bits that are of every kind.
fn elements<S: Element>(len: usize) -> Vec<S> {
    (0..len).map(|index| convert(VALUES[index % VALUES.len()] + index as f64 / 16.0)).collect()
}

fn bytes<T: Element>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// Equal bits, or both NaN: Rust lets a NaN have any payload.
fn is_same<T: Element>(left: T, right: T) -> bool {
    bytes(&[left]) == bytes(&[right]) || is_nan(left) && is_nan(right)
}

fn is_nan<T: Element>(value: T) -> bool {
    let itself = value;
    value != itself
}

fn check<S: Element, D: Element>(len: usize) {
    let source = elements::<S>(len);
    let mut target = vec![D::default(); len];
    convert_slice(&source, &mut target);
    for (index, (&from, &to)) in source.iter().zip(&target).enumerate() {
        let alone: D = std::hint::black_box(convert(std::hint::black_box(from)));
        let same = is_same(alone, to);
        assert!(same, "{from} to {}: {to} at {index} of {len}, {alone} alone", D::DTYPE);
    }
}

#[test]
fn dty_3_slices_of_every_length_convert_alike() {
    let lengths: &[usize] = if cfg!(miri) { &[0, 9] } else { &[] };
    let all: Vec<usize> = (0..=67).collect();
    let lengths = if lengths.is_empty() { &all } else { lengths };
    for source in DType::ALL {
        for target in DType::ALL {
            for &len in lengths {
                match_dtype!(source, S => match_dtype!(target, D => check::<S, D>(len)));
            }
        }
    }
}

#[test]
#[expect(
    unsafe_code,
    reason = "only reading the memory shows, to Miri, that all of it was written"
)]
fn dty_3_uninitialized_memory_is_filled() {
    let mut target = [MaybeUninit::<u8>::uninit(); 3];
    convert_slice_uninit(&[1.5_f32, -2.5, 300.0], &mut target);
    // SAFETY: `convert_slice_uninit` initialized every element.
    let found = target.map(|element| unsafe { element.assume_init() });
    assert_eq!(found, [1, 0, 255]);
}

#[test]
#[should_panic(expected = "source and target differ in length")]
fn dty_3_slices_must_have_one_length() {
    convert_slice(&[1_u8, 2], &mut [0_u8]);
}

/// By way of a `Scalar` a value becomes what it becomes directly.
#[test]
fn dty_3_scalar_loses_nothing() {
    for source in DType::ALL {
        match_dtype!(source, S => {
            for value in elements::<S>(40) {
                check_scalar(value);
            }
        });
    }
}

fn check_scalar<S: Element>(value: S) {
    let scalar = Scalar::from_element(value);
    assert_eq!(scalar.kind(), S::DTYPE.kind());
    for target in DType::ALL {
        match_dtype!(target, D => {
            let (direct, found): (D, D) = (convert(value), scalar.to_element());
            let same = is_same(direct, found);
            assert!(same, "{} {value} to {target}: {found}, not {direct}", S::DTYPE);
        });
    }
}

#[test]
fn dty_3_float_to_integer_is_what_as_gives() {
    let mut values: Vec<f32> = (-70_000..70_000)
        .step_by(if cfg!(miri) { 997 } else { 1 })
        .map(|whole| whole as f32)
        .flat_map(|whole| [whole, whole.next_up(), whole.next_down(), whole + 0.5])
        .collect();
    values.extend(VALUES.map(|value| value as f32));
    values.extend([f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), -f32::NAN]);
    for value in values {
        assert_eq!(convert::<f32, i8>(value), value as i8, "{value}");
        assert_eq!(convert::<f32, i16>(value), value as i16, "{value}");
        assert_eq!(convert::<f32, u8>(value), value as u8, "{value}");
        assert_eq!(convert::<f32, u16>(value), value as u16, "{value}");
    }
}
