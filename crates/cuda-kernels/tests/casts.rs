//! Every conversion against `ndbridge_dtype::convert`, element by element.

mod launch;

use bytemuck::checked;
use launch::{Buffers, Layout, noise, run, zoo};
use ndbridge_cuda_kernels::{Dim, Dims, cast};
use ndbridge_dtype::{DType, Kind, convert, match_dtype};

fn pairs() -> impl Iterator<Item = (DType, DType)> {
    let to_each = |from| DType::ALL.into_iter().map(move |to| (from, to));
    DType::ALL.into_iter().flat_map(to_each).filter(|(from, to)| from != to)
}

/// The model: one element's bytes, converted.
fn converted(from: DType, to: DType, bytes: &[u8]) -> Vec<u8> {
    // Any byte may be a bool to a kernel.
    let of_bool = [u8::from(bytes[0] != 0)];
    let bytes = if from == DType::Bool { &of_bool[..] } else { bytes };
    match_dtype!(from, S => match_dtype!(to, D => {
        bytemuck::bytes_of(&convert::<S, D>(checked::pod_read_unaligned(bytes))).to_vec()
    }))
}

/// Runs the kernel over a layout; `shift` elements off the aligned address on both sides.
fn check(from: DType, to: DType, source: &[u8], layout: &Layout, shift: usize) {
    let (src_bytes, dst_bytes) = (from.item_bytes(), to.item_bytes());
    let (src_side, dst_side) = (layout.src(), layout.dst());
    let source = &source[..src_side.len * src_bytes];
    let mut expected = vec![0xee; (dst_side.len + shift) * dst_bytes];
    let mut memory = Buffers::default();
    let src = memory.add([&vec![0; shift * src_bytes], source].concat());
    let dst = memory.add(expected.clone());
    for (src_offset, dst_offset) in src_side.offsets.iter().zip(&dst_side.offsets) {
        let start = (src_offset + src_side.before) as usize * src_bytes;
        let value = converted(from, to, &source[start..start + src_bytes]);
        let start = ((dst_offset + dst_side.before) as usize + shift) * dst_bytes;
        expected[start..start + dst_bytes].copy_from_slice(&value);
    }
    let dims: Vec<Dim> = layout
        .dims
        .iter()
        .map(|&(len, src, dst)| Dim::new(len, src * src_bytes as i64, dst * dst_bytes as i64))
        .collect();
    let dims = Dims::new(&dims).expect("few dimensions");
    let first_src = src + (src_side.before as u64 + shift as u64) * src_bytes as u64;
    let first_dst = dst + (dst_side.before as u64 + shift as u64) * dst_bytes as u64;
    let [first_dst, first_src] = [first_dst, first_src].map(u64::to_ne_bytes);
    let launch = cast(from, to, &dims).expect("two types");
    assert_eq!(launch.kernel, format!("cast_{from}_{to}"));
    run(launch, &[&first_dst, &first_src, bytemuck::bytes_of(&dims)], &memory);
    let found = memory.bytes(dst);
    for (place, (found, expected)) in
        found.chunks(dst_bytes).zip(expected.chunks(dst_bytes)).enumerate()
    {
        assert_eq!(found, expected, "{from} to {to}, element {place}, {layout:?}, shift {shift}");
    }
}

/// All values of 8 and 16 bits; of wider types those at the edges of every type, and noise.
fn values(dtype: DType) -> Vec<u8> {
    match dtype.item_bytes() {
        1 => (0..=u8::MAX).collect(),
        2 => (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect(),
        _ => [edges(dtype), noise(999 * dtype.item_bytes())].concat(),
    }
}

fn edges(dtype: DType) -> Vec<u8> {
    let powers = (0..64).flat_map(|shift| {
        let power = 1_u64 << shift;
        [power - 1, power, power + 1, power.wrapping_neg(), !power, power | (power >> 9)]
    });
    let integers: Vec<u64> = powers.collect();
    let mut bytes = Vec::new();
    for integer in integers {
        match_dtype!(dtype, T => {
            bytes.extend(bytemuck::bytes_of(&convert::<u64, T>(integer)));
            bytes.extend(bytemuck::bytes_of(&convert::<i64, T>(integer as i64)));
        });
    }
    if matches!(dtype.kind(), Kind::Float | Kind::Complex) {
        bytes.extend(small_and_special().flat_map(|value| {
            match_dtype!(dtype, T => bytemuck::bytes_of(&convert::<f64, T>(value)).to_vec())
        }));
    }
    bytes
}

/// Powers of two from below the smallest subnormal, halves beside them; NaN and infinity.
fn small_and_special() -> impl Iterator<Item = f64> {
    let scales = (1_u64..2046).step_by(3).map(|exponent| f64::from_bits(exponent << 52));
    let magnitudes =
        scales.flat_map(|scale| [1.0, 1.0 + f64::EPSILON, 1.5, 1.75].map(|f| f * scale));
    let special = [0.0, f64::from_bits(1), f64::MAX, f64::INFINITY, f64::NAN];
    magnitudes.chain(special).flat_map(|value| [value, -value])
}

#[test]
fn dty_3_contiguous_casts_equal_the_hosts() {
    for (from, to) in pairs() {
        let source = values(from);
        let len = (source.len() / from.item_bytes()) as u32;
        check(from, to, &source, &Layout { dims: vec![(len, 1, 1)] }, 0);
    }
}

#[test]
fn dty_3_casts_of_every_layout_equal_the_hosts() {
    for (from, to) in pairs() {
        let source = noise(6000 * from.item_bytes());
        for layout in zoo() {
            check(from, to, &source, &layout, 0);
        }
    }
}

#[test]
fn dty_3_contiguous_casts_of_unaligned_vectors_equal_the_hosts() {
    for (from, to) in pairs() {
        let source = noise(4099 * from.item_bytes());
        check(from, to, &source, &Layout { dims: vec![(4099, 1, 1)] }, 1);
    }
}

#[test]
fn a_type_is_not_cast_to_itself() {
    let dims = Dims::new(&[]).unwrap();
    for dtype in DType::ALL {
        assert_eq!(cast(dtype, dtype, &dims), None);
    }
}
