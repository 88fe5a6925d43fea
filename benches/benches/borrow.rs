//! What a borrow costs: taken from the storage, and as a guard of a tensor.
//!
//! `beside_8` and `beside_1000` are other borrows that live meanwhile, all of them writers of other
//! bytes, so that none can be skipped by its kind. `adopted` is the ledger of another module.
#![expect(unsafe_code, reason = "takes its own table for that of another module")]

use std::hint::black_box;
use std::sync::{Arc, RwLock};

use criterion::Criterion;
use ndbridge::storage::ledger::{self, SharedLedger};
use ndbridge::storage::{Borrow, BorrowKind, Region, Storage, gate};
use ndbridge::{DType, Tensor};

const ROW_BYTES: usize = 64;
const ROWS: usize = 4096;

fn main() {
    ndbridge_benches::run(&[storage, guards, adopted]);
}

/// Private memory, and lent memory whose gate is open: what remains is the ledger.
fn memories() -> [(&'static str, Tensor); 2] {
    let zeros = || Tensor::zeros(&[ROWS, ROW_BYTES / 4], DType::F32).expect("256 KB");
    let lent = zeros();
    lent.storage().lend(Arc::new(gate::Always)).expect("nothing is borrowed yet");
    [("private", zeros()), ("lent", lent)]
}

fn storage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("borrow/storage");
    group.bench_function("rwlock/read", |bencher| {
        let lock = RwLock::new(());
        bencher.iter(|| drop(black_box(black_box(&lock).try_read())));
    });
    for (memory, tensor) in memories() {
        let storage = tensor.storage();
        for (kind, name) in [(BorrowKind::Read, "read"), (BorrowKind::Write, "write")] {
            for others in [0, 8, 1000] {
                group.bench_function(format!("{memory}/{name}/beside_{others}"), |bencher| {
                    let _held: Vec<_> = (1..=others).map(|row| write_row(storage, row)).collect();
                    let start = storage.as_ptr().addr();
                    bencher.iter(|| drop(black_box(borrow_row(storage, kind, start))));
                });
            }
        }
    }
}

/// Holds one row of the upper half.
fn write_row(storage: &Storage, row: usize) -> Borrow<'_> {
    let start = storage.as_ptr().addr() + (ROWS / 2 + row) * ROW_BYTES;
    borrow_row(storage, BorrowKind::Write, start)
}

#[inline(always)]
fn borrow_row(storage: &Storage, kind: BorrowKind, start: usize) -> Borrow<'_> {
    let region = Region { start, item_bytes: 4, shape: &[ROW_BYTES / 4], strides: &[4] };
    storage.borrow(kind, black_box(&region)).expect("rows do not overlap")
}

fn guards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("borrow/guard");
    for (memory, tensor) in memories() {
        group.bench_function(format!("{memory}/read"), |bencher| {
            bencher.iter(|| black_box(&tensor).read::<f32>().expect("free").len());
        });
        group.bench_function(format!("{memory}/write"), |bencher| {
            bencher.iter(|| black_box(&tensor).write::<f32>().expect("free").len());
        });
        let columns = tensor.slice(ndarray::s![.., ..;2]).expect("a view");
        group.bench_function(format!("{memory}/read_columns"), |bencher| {
            bencher.iter(|| black_box(&columns).read::<f32>().expect("free").len());
        });
    }
}

/// Adopting is for good: this runs last.
fn adopted(criterion: &mut Criterion) {
    static OWNER: SharedLedger = SharedLedger::new();
    // SAFETY: a table of this crate, of a static.
    unsafe { ledger::of_process().adopt(OWNER.table().into()) }.expect("nothing is borrowed");
    let mut group = criterion.benchmark_group("borrow/storage");
    let [_, (_, lent)] = memories();
    let start = lent.storage().as_ptr().addr();
    for (kind, name) in [(BorrowKind::Read, "read"), (BorrowKind::Write, "write")] {
        group.bench_function(format!("adopted/{name}/beside_0"), |bencher| {
            bencher.iter(|| drop(black_box(borrow_row(lent.storage(), kind, start))));
        });
    }
}
