//! Nanoseconds per borrow and release, by kind of memory: `cargo run --release --example borrow_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ndbridge_storage::{BorrowKind, MapMode, Region, Storage, gate};

fn main() {
    let private = Storage::from_vec(vec![0.0f64; 1_000_000]);
    let lent = Storage::from_vec(vec![0.0f64; 1_000_000]);
    lent.lend(Arc::new(gate::Always)).expect("nothing is borrowed yet");

    println!("{:44} {:>8}", "borrow and release", "ns");
    report_all(&[("private", &private), ("lent", &lent)]);
    // With a file that is mapped, the ledger of the process looks where addresses are.
    let [map, copy] = [MapMode::ReadWrite, MapMode::CopyOnWrite].map(mapped);
    report_all(&[("mapped", &map), ("copy-on-write", &copy), ("lent beside maps", &lent)]);
}

fn mapped(mode: MapMode) -> Storage {
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(8_000_000).expect("room for it");
    Storage::map_file(&file, 0, 8_000_000, mode).expect("a map of it")
}

fn report_all(storages: &[(&str, &Storage)]) {
    for &(memory, storage) in storages {
        for kind in [BorrowKind::Read, BorrowKind::Write] {
            report(&format!("{memory}, {kind}, contiguous"), storage, kind, &[1000, 8]);
        }
        report(&format!("{memory}, for reading, columns"), storage, BorrowKind::Read, &[1600, 16]);
        report(&format!("{memory}, for writing, columns"), storage, BorrowKind::Write, &[1600, 16]);
        for live in [3, 1_000, 10_000] {
            let held: Vec<_> = (0..live).map(|row| row_of(storage, row)).collect();
            report(
                &format!("{memory}, for reading, {live} writers"),
                storage,
                BorrowKind::Read,
                &[1000, 8],
            );
            drop(held);
        }
    }
}

/// A write borrow of 64 bytes somewhere in the upper half.
fn row_of(storage: &Storage, row: usize) -> ndbridge_storage::Borrow<'_> {
    let start = storage.as_ptr() as usize + 4_000_000 + 64 * row;
    let region = Region { start, item_bytes: 8, shape: &[8], strides: &[8] };
    storage.borrow(BorrowKind::Write, &region).expect("rows do not overlap")
}

/// The fastest of many runs: what the work costs when nothing else runs.
fn report(name: &str, storage: &Storage, kind: BorrowKind, strides: &[isize; 2]) {
    let start = storage.as_ptr() as usize;
    let region = Region { start, item_bytes: 8, shape: &[100, 125], strides };
    let mut runs: Vec<f64> = (0..60).map(|_| nanoseconds(storage, kind, &region)).collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:44} {:8.1}", runs[0]);
}

fn nanoseconds(storage: &Storage, kind: BorrowKind, region: &Region<'_>) -> f64 {
    const TIMES: u32 = 20_000;
    let begin = Instant::now();
    for _ in 0..TIMES {
        drop(black_box(storage.borrow(kind, black_box(region))));
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
