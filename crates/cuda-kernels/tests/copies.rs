//! Copies, transpositions and fills against a loop over all indices.

mod launch;

use launch::{Buffers, Layout, noise, run, zoo};
use ndbridge_cuda_kernels::{
    Dim, Dims, MAX_BATCH_DIMS, MAX_DIMS, Tiles, Width, fill, strided, transpose,
};

/// A launch's two sides as bytes.
struct Sides {
    memory: Buffers,
    src: u64,
    dst: u64,
    first_src: u64,
    first_dst: u64,
    expected: Vec<u8>,
}

/// Buffers for a layout of elements of that many bytes, and what the target must become.
fn sides(layout: &Layout, bytes: usize) -> Sides {
    let (from, to) = (layout.src(), layout.dst());
    let (source, mut expected) = (noise(from.len * bytes), vec![0xee; to.len * bytes]);
    let mut memory = Buffers::default();
    let (src, dst) = (memory.add(source.clone()), memory.add(expected.clone()));
    for (from_offset, to_offset) in from.offsets.iter().zip(&to.offsets) {
        let from_start = (from_offset + from.before) as usize * bytes;
        let to_start = (to_offset + to.before) as usize * bytes;
        expected[to_start..to_start + bytes]
            .copy_from_slice(&source[from_start..from_start + bytes]);
    }
    let first_src = src + from.before as u64 * bytes as u64;
    let first_dst = dst + to.before as u64 * bytes as u64;
    Sides { memory, src, dst, first_src, first_dst, expected }
}

fn dim((len, src, dst): (u32, i64, i64), bytes: usize) -> Dim {
    Dim::new(len, src * bytes as i64, dst * bytes as i64)
}

fn dims(layout: &Layout, bytes: usize) -> Dims {
    let all: Vec<Dim> = layout.dims.iter().map(|&each| dim(each, bytes)).collect();
    Dims::new(&all).expect("few dimensions")
}

#[test]
fn strided_copies_equal_a_loop() {
    for width in Width::ALL {
        for layout in zoo() {
            let sides = sides(&layout, width.bytes());
            let dims = dims(&layout, width.bytes());
            let [dst, src] = [sides.first_dst, sides.first_src].map(u64::to_ne_bytes);
            let params = [&dst[..], &src, bytemuck::bytes_of(&dims)];
            run(strided(width, &dims), &params, &sides.memory);
            assert!(sides.memory.bytes(sides.dst) == sides.expected, "{width:?} {layout:?}");
            assert_eq!(sides.memory.bytes(sides.src), noise(layout.src().len * width.bytes()));
        }
    }
}

#[test]
fn fills_write_all_elements_and_nothing_else() {
    for width in Width::ALL {
        for layout in zoo() {
            let value = &noise(16)[..width.bytes()];
            let to = layout.dst();
            let mut expected = vec![0xee; to.len * width.bytes()];
            let mut memory = Buffers::default();
            let dst = memory.add(expected.clone());
            for offset in to.offsets {
                let start = (offset + to.before) as usize * width.bytes();
                expected[start..start + width.bytes()].copy_from_slice(value);
            }
            let dims = dims(&layout, width.bytes());
            let first = (dst + to.before as u64 * width.bytes() as u64).to_ne_bytes();
            run(fill(width, &dims), &[&first, value, bytemuck::bytes_of(&dims)], &memory);
            assert!(memory.bytes(dst) == expected, "{width:?} {layout:?}");
        }
    }
}

/// Shapes around the sizes of tiles; `gap` elements between two lines.
fn transpositions() -> Vec<Layout> {
    let mut layouts = Vec::new();
    for (rows, cols) in [(1, 1), (32, 32), (64, 64), (33, 65), (3, 200), (200, 3), (130, 70)] {
        for (batch, gap) in [(vec![], 0), (vec![3], 5), (vec![2, 3], 0)] {
            let (src_row, dst_col) = (i64::from(cols) + gap, i64::from(rows) + gap);
            let (mut src, mut dst) = (i64::from(rows) * src_row, i64::from(cols) * dst_col);
            let mut dims = vec![(rows, src_row, 1), (cols, 1, dst_col)];
            for len in batch {
                dims.insert(0, (len, src, -dst));
                src *= i64::from(len);
                dst *= i64::from(len);
            }
            layouts.push(Layout { dims });
        }
    }
    // Neither side dense, one side reversed, a source that is broadcast; nothing at all.
    layouts.push(Layout { dims: vec![(40, -90, 2), (45, 2, 80)] });
    layouts.push(Layout { dims: vec![(4, 0, 2000), (40, 45, 1), (45, 1, 40)] });
    layouts.push(Layout { dims: vec![(40, 45, 1), (0, 1, 40)] });
    layouts.push(Layout { dims: vec![(0, 1, 1), (40, 45, 1), (45, 1, 40)] });
    layouts
}

#[test]
fn transpositions_equal_a_loop() {
    for width in Width::ALL {
        for layout in transpositions() {
            let sides = sides(&layout, width.bytes());
            let all: Vec<Dim> = layout.dims.iter().map(|&each| dim(each, width.bytes())).collect();
            let [batch @ .., rows, cols] = &all[..] else { panic!("rows and columns") };
            let tiles = Tiles::new(width, *rows, *cols, batch).unwrap();
            let [dst, src] = [sides.first_dst, sides.first_src].map(u64::to_ne_bytes);
            let params = [&dst[..], &src, bytemuck::bytes_of(&tiles)];
            run(transpose(&tiles), &params, &sides.memory);
            assert!(sides.memory.bytes(sides.dst) == sides.expected, "{width:?} {layout:?}");
        }
    }
}

#[test]
fn what_does_not_fit_a_launch_is_refused() {
    let two = Dim::new(2, 1, 1);
    assert!(Dims::new(&[two; MAX_DIMS]).is_some());
    assert!(Dims::new(&[two; MAX_DIMS + 1]).is_none());
    assert!(Dims::new(&[Dim::new(1, 1, 1); MAX_DIMS + 1]).is_some());
    assert!(Dims::new(&[Dim::new(u32::MAX, 1, 1), Dim::new(0, 1, 1)]).unwrap().is_empty());
    assert!(Dims::new(&[Dim::new(i32::MAX as u32, 1, 1)]).is_some());
    assert!(Dims::new(&[Dim::new(1 << 31, 1, 1)]).is_none());
    let tiles =
        |len, batch: &[Dim]| Tiles::new(Width::B4, Dim::new(len, 1, 1), Dim::new(len, 1, 1), batch);
    assert!(tiles(33, &[two; MAX_BATCH_DIMS]).is_some());
    assert!(tiles(33, &[two; MAX_BATCH_DIMS + 1]).is_none());
    assert!(tiles(1 << 31, &[]).is_none());
    assert!(tiles(i32::MAX as u32, &[]).is_none());
}

#[test]
fn grids_are_one_dimensional_and_cover_all() {
    let dims = Dims::new(&[Dim::new(i32::MAX as u32, 4, 4)]).unwrap();
    assert_eq!(strided(Width::B4, &dims).grid, [1 << 21, 1, 1]);
    let large = Dim::new(1 << 20, 1, 1);
    let tiles = Tiles::new(Width::B1, large, large, &[Dim::new(7, 1, 1)]).unwrap();
    let launch = transpose(&tiles);
    assert_eq!((launch.grid, launch.shared_bytes), ([7 << 28, 1, 1], 64 * 68));
    assert!(strided(Width::B1, &Dims::new(&[Dim::new(0, 1, 1)]).unwrap()).is_empty());
}

#[test]
fn a_width_divides_what_it_is_asked_for() {
    for bytes in 0..64 {
        let width = Width::dividing(bytes).bytes() as u64;
        assert!(bytes % width == 0 && (width == 16 || bytes % (2 * width) != 0), "{bytes}");
    }
    for width in Width::ALL {
        assert_eq!(Width::of_bytes(width.bytes()), Some(width));
    }
    assert_eq!(Width::of_bytes(3), None);
}
