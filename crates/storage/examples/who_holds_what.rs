//! Views of one matrix, which of them can be written at once, and what a refusal says.
//!
//! `cargo run -p ndbridge-storage --example who_holds_what`

use std::sync::Arc;

use ndbridge_storage::{BorrowKind, Region, Storage, gate};

/// A view of a matrix of 6 rows and 8 columns of f32.
struct View {
    name: &'static str,
    first: usize,
    shape: [usize; 2],
    strides: [isize; 2],
}

const VIEWS: [View; 5] = [
    View { name: "m[:3]", first: 0, shape: [3, 8], strides: [32, 4] },
    View { name: "m[3:]", first: 24, shape: [3, 8], strides: [32, 4] },
    View { name: "m[:, ::3]", first: 0, shape: [6, 3], strides: [32, 12] },
    View { name: "m[:, 1::3]", first: 1, shape: [6, 3], strides: [32, 12] },
    View { name: "m[::-1, 7:]", first: 47, shape: [6, 1], strides: [-32, 4] },
];

impl View {
    fn region<'a>(&'a self, matrix: &Storage) -> Region<'a> {
        let start = matrix.as_ptr() as usize + 4 * self.first;
        Region { start, item_bytes: 4, shape: &self.shape, strides: &self.strides }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let matrix = Storage::from_vec(vec![0.0f32; 48]);
    println!("written at once:");
    println!("{:>13}{}", "", VIEWS.map(|view| format!("{:>13}", view.name)).concat());
    for held in &VIEWS {
        let _held = matrix.borrow(BorrowKind::Write, &held.region(&matrix))?;
        let also = VIEWS.each_ref().map(|view| {
            matrix.borrow(BorrowKind::Write, &view.region(&matrix)).map_or("no", |_| "yes")
        });
        println!("{:>13}{}", held.name, also.map(|word| format!("{word:>13}")).concat());
    }

    let rows = matrix.borrow(BorrowKind::Write, &VIEWS[0].region(&matrix))?;
    let refused = matrix.borrow(BorrowKind::Read, &VIEWS[2].region(&matrix));
    println!("\n{}", refused.map(drop).expect_err("these rows are being written"));
    let refused = matrix.lend(Arc::new(gate::Always));
    println!("{}", refused.expect_err("a borrow lives"));
    drop(rows);

    matrix.lend(Arc::new(gate::Never))?;
    let refused = matrix.borrow(BorrowKind::Read, &VIEWS[2].region(&matrix));
    println!("{}", refused.map(drop).expect_err("the gate is closed"));
    println!("\n{matrix:?}");
    Ok(())
}
