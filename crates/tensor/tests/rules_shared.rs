//! The shared tier: elements that several threads write at once.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

use ndbridge_tensor::dtype::{Complex, match_dtype};
use ndbridge_tensor::storage::Storage;
use ndbridge_tensor::{DType, Element, Layout, Scalar, SharedView, Tensor, TensorError};

mod zoo;

#[test]
fn shr_4_threads_see_each_others_stores() {
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    let tensor = Tensor::zeros(&[2, 2], DType::U32).unwrap();
    let (one, other) = (tensor.shared::<u32>().unwrap(), tensor.flip(&[1]).unwrap());
    let other = other.shared::<u32>().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=rounds).for_each(|value| one.store(&[0, 0], value).unwrap()));
        scope.spawn(|| {
            let mut last = 0;
            while last < rounds {
                let now = other.load(&[0, 1]).unwrap();
                assert!(now >= last, "stores are seen in order");
                last = now;
                std::thread::yield_now();
            }
        });
        scope.spawn(|| (1..=rounds).for_each(|value| other.store(&[1, 1], value).unwrap()));
    });
    drop((one, other));
    assert_eq!(tensor.to_vec::<u32>().unwrap(), [rounds, 0, rounds, 0]);
}

/// Many writers of one element: what is read was written by one of them.
#[test]
fn shr_4_an_element_is_never_half_of_two_writes() {
    let rounds = if cfg!(miri) { 10 } else { 5000 };
    let tensor = Tensor::from_vec(vec![0_u64]);
    let shared = tensor.shared::<u64>().unwrap();
    let shared = &shared;
    std::thread::scope(|scope| {
        for pattern in [0, u64::MAX, 0xAAAA_AAAA_5555_5555] {
            scope.spawn(move || (0..rounds).for_each(|_| shared.store(&[0], pattern).unwrap()));
        }
        scope.spawn(move || {
            for _ in 0..rounds {
                let seen = shared.load(&[0]).unwrap();
                assert!([0, u64::MAX, 0xAAAA_AAAA_5555_5555].contains(&seen), "{seen:#x}");
            }
        });
    });
}

/// The halves of a complex128 are stored one after the other, each whole.
#[test]
fn shr_4_both_halves_of_a_complex_number_arrive() {
    let tensor = Tensor::zeros(&[3], DType::C128).unwrap();
    let shared = tensor.shared::<Complex<f64>>().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| shared.store(&[1], Complex::new(1.5, -2.5)).unwrap());
        scope.spawn(|| shared.store(&[2], Complex::new(3.5, 4.5)).unwrap());
        scope.spawn(|| assert!([0.0, 1.5].contains(&shared.load(&[1]).unwrap().re)));
    });
    assert_eq!(shared.load(&[1]).unwrap(), Complex::new(1.5, -2.5));
    assert_eq!(shared.load(&[2]).unwrap(), Complex::new(3.5, 4.5));
}

#[test]
fn dty_1_loads_and_stores_of_every_data_type() {
    for dtype in DType::ALL {
        match_dtype!(dtype, T => round_trip::<T>());
    }
}

fn round_trip<T: Element>() {
    let tensor = Tensor::zeros(&[4, 2], T::DTYPE).unwrap().transpose().unwrap();
    let tensor = tensor.flip(&[1]).unwrap();
    let shared = tensor.shared::<T>().unwrap();
    for index in zoo::indices(&[2, 4]) {
        let value = zoo::sample::<T>(index[0] * 4 + index[1]);
        shared.store(&index, value).unwrap();
        assert_eq!(shared.load(&index).unwrap(), value, "{} {index:?}", T::DTYPE);
    }
    drop(shared);
    let all: Vec<T> = (0..8).map(zoo::sample::<T>).collect();
    assert_eq!(tensor.to_vec::<T>().unwrap(), all, "{}", T::DTYPE);
}

#[test]
fn shr_1_what_is_not_aligned_for_atomics_is_refused() {
    for case in zoo::zoo(DType::F32) {
        let is_aligned = case.tensor.is_aligned();
        match case.tensor.shared::<f32>() {
            Ok(_) => assert!(is_aligned, "{}", case.name),
            Err(error) => {
                assert!(matches!(error, TensorError::Unaligned { align_bytes: 4, .. }), "{error}");
                assert!(!is_aligned, "{}", case.name);
            }
        }
    }
    // complex64 is aligned to 4 bytes, its one atomic load to 8
    let layout = Layout::new(&[2], &[8], 4, 8).unwrap();
    let tensor = Tensor::from_parts(Storage::zeroed(24).unwrap(), DType::C64, layout).unwrap();
    assert!(tensor.read::<Complex<f32>>().is_ok());
    assert!(tensor.shared::<Complex<f32>>().is_err());
}

#[test]
fn mut_2_stores_through_a_read_only_handle_are_refused() {
    let tensor = Tensor::from_vec(vec![1_i64]);
    let read_only = tensor.clone().into_read_only();
    let (writing, reading) = (tensor.shared::<i64>().unwrap(), read_only.shared::<i64>().unwrap());
    writing.store(&[0], 5).unwrap();
    assert_eq!(reading.load(&[0]).unwrap(), 5);
    assert!(matches!(reading.store(&[0], 6), Err(TensorError::ReadOnly { .. })));
    assert_eq!(reading.load(&[0]).unwrap(), 5);
}

#[test]
fn mut_2_frozen_memory_is_looked_at_and_never_stored_to() {
    static BYTES: &[u8] = &[1, 0, 2, 3];
    let layout = Layout::contiguous(&[4], 1, ndbridge_tensor::Order::C).unwrap();
    let tensor = Tensor::from_parts(Storage::frozen(BYTES), DType::Bool, layout).unwrap();
    let shared = tensor.shared::<bool>().unwrap();
    assert!(shared.load(&[0]).unwrap() && !shared.load(&[1]).unwrap());
    assert!(matches!(shared.load(&[2]), Err(TensorError::InvalidBool { byte: 2, .. })));
    assert!(matches!(shared.store(&[1], true), Err(TensorError::ReadOnly { .. })));
}

#[test]
fn mut_1_shared_views_exclude_guards() {
    let tensor = Tensor::from_vec(vec![1_i64, 2]);
    let shared = tensor.shared::<i64>().unwrap();
    assert!(tensor.read::<i64>().is_err() && tensor.write::<i64>().is_err());
    assert!(tensor.fill(Scalar::Int(1)).is_err() && tensor.bytes().is_err());
    drop(shared);
    let guard = tensor.read::<i64>().unwrap();
    assert!(tensor.shared::<i64>().is_err());
    drop(guard);
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Tensor>();
    crosses_threads::<SharedView<'static, Complex<f64>>>();
    crosses_threads::<ndbridge_tensor::ReadGuard<'static, f32>>();
    crosses_threads::<ndbridge_tensor::TensorError>();
};

#[test]
fn mut_1_shared_views_by_atoms_of_other_sizes_conflict() {
    let words = Tensor::from_vec(vec![0_u32; 4]);
    let bytes = words.reinterpret(DType::U8).unwrap();
    let numbers = words.reinterpret(DType::F32).unwrap();
    let view = words.shared::<u32>().unwrap();
    assert!(numbers.shared::<f32>().is_ok(), "the same size");
    let error = bytes.shared::<u8>().unwrap_err().to_string();
    assert!(error.contains("for shared access by 4 bytes"), "{error}");
    drop(view);
    assert!(bytes.shared::<u8>().is_ok());
}
