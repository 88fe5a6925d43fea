//! From a walk of two layouts on one device to kernels.

use std::ffi::c_void;

use ndbridge_cuda_kernels::{
    self as kernels, Dim, Dims, Launch, MAX_BATCH_DIMS, MAX_DIMS, MAX_ELEMENTS, Tiles, Width,
};
use ndbridge_dtype::DType;
use ndbridge_storage::StorageError;
use ndbridge_tensor::{DeviceElements, Walk, WalkAxis as Axis};
use smallvec::SmallVec;

use super::enqueue::{Enqueue, Kernel};

type Axes = SmallVec<[Axis; 8]>;

/// An axis shorter than this is not worth a tile.
const SHORTEST_TILED: usize = 8;

/// Copies, or casts, the elements of `source` to `destination` along `walk`, on the device of the stream.
///
/// For a cast, addresses and strides of both sides suit the data types.
///
/// # Safety
/// Both sides reach memory of that device only, without a byte in common, that the job reads and
/// writes; no byte of the destination is reached twice.
pub(super) unsafe fn copy(
    enqueue: &Enqueue<'_>,
    walk: &Walk,
    source: DeviceElements<'_>,
    destination: DeviceElements<'_>,
) -> Result<(), StorageError> {
    let (from, to) = (source.dtype, destination.dtype);
    let mut axes = Axes::from(walk.axes());
    let at = Starts {
        source: source.address.wrapping_add_signed(walk.source_start) as u64,
        destination: destination.address.wrapping_add_signed(walk.destination_start) as u64,
    };
    if from != to {
        // SAFETY: promised by the caller; the pair walks the same elements.
        return unsafe { cast(enqueue, &axes, at, from, to) };
    }
    if let Some(len_bytes) = one_block(&axes, from.item_bytes()) {
        // SAFETY: promised by the caller.
        return unsafe { enqueue.copy_on_device(at.destination, at.source, len_bytes) };
    }
    let width = widen(&mut axes, at, from.item_bytes());
    // SAFETY: promised by the caller; `widen` keeps the set of bytes.
    unsafe { strided(enqueue, &axes, at, width) }
}

/// Where both sides begin.
#[derive(Clone, Copy, Debug)]
struct Starts {
    source: u64,
    destination: u64,
}

impl Starts {
    fn step(self, axis: Axis, index: usize) -> Self {
        let by = |step: isize| (step as i64).wrapping_mul(index as i64);
        Self {
            source: self.source.wrapping_add_signed(by(axis.source)),
            destination: self.destination.wrapping_add_signed(by(axis.destination)),
        }
    }
}

/// The size of a pair of layouts that is one block on both sides.
fn one_block(axes: &[Axis], item_bytes: usize) -> Option<usize> {
    let item = item_bytes as isize;
    match axes {
        [] => Some(item_bytes),
        [run] if run.source == item && run.destination == item => Some(run.len * item_bytes),
        _ => None,
    }
}

/// Rewrites the axes for the widest elements that the copy can move at once.
fn widen(axes: &mut Axes, at: Starts, item_bytes: usize) -> Width {
    let item = item_bytes as isize;
    // The bytes that lie together on both sides: an item, or a run of them.
    let together = match axes.last() {
        Some(run) if run.source == item && run.destination == item => {
            let bytes = run.len * item_bytes;
            axes.pop();
            bytes
        }
        _ => item_bytes,
    };
    let steps = axes.iter().fold(0, |all, axis| all | axis.source | axis.destination);
    let width = Width::dividing(together as u64 | steps as u64 | at.source | at.destination);
    let bytes = width.bytes();
    if bytes < together {
        let step = bytes as isize;
        axes.push(Axis { len: together / bytes, source: step, destination: step });
    }
    width
}

/// # Safety
/// As [`copy`], for elements of `width`.
unsafe fn strided(
    enqueue: &Enqueue<'_>,
    axes: &[Axis],
    at: Starts,
    width: Width,
) -> Result<(), StorageError> {
    if let Some((rows, cols)) = tiled(axes, width) {
        let batch: Axes = (0..axes.len())
            .filter(|&axis| axis != rows && axis != cols)
            .map(|axis| axes[axis])
            .collect();
        let tiles = as_dim(axes[rows]).zip(as_dim(axes[cols])).and_then(|(rows, cols)| {
            let batch = batch.iter().map(|&axis| as_dim(axis)).collect::<Option<Vec<_>>>()?;
            Tiles::new(width, rows, cols, &batch)
        });
        if let Some(tiles) = tiles {
            // SAFETY: promised by the caller.
            return unsafe { launch(enqueue, &kernels::transpose(&tiles), at, tiles) };
        }
    }
    in_launches(axes, at, &mut |dims, at| {
        // SAFETY: promised by the caller; the parts are walks of the same elements.
        unsafe { launch(enqueue, &kernels::strided(width, &dims), at, dims) }
    })
}

/// The axes along which destination and source are dense, if they are two long ones and the others
/// fit a launch.
fn tiled(axes: &[Axis], width: Width) -> Option<(usize, usize)> {
    let step = width.bytes();
    if axes.len() > MAX_BATCH_DIMS + 2 {
        return None;
    }
    let is_long = |axis: &Axis| axis.len >= SHORTEST_TILED;
    let rows =
        axes.iter().position(|axis| is_long(axis) && axis.destination.unsigned_abs() == step)?;
    let cols = axes.iter().position(|axis| is_long(axis) && axis.source.unsigned_abs() == step)?;
    (rows != cols).then_some((rows, cols))
}

/// # Safety
/// As [`copy`].
unsafe fn cast(
    enqueue: &Enqueue<'_>,
    axes: &[Axis],
    at: Starts,
    from: DType,
    to: DType,
) -> Result<(), StorageError> {
    in_launches(axes, at, &mut |dims, at| {
        let cast = kernels::cast(from, to, &dims);
        let cast = cast.ok_or(StorageError::NoKernel { name: "cast" })?;
        // SAFETY: promised by the caller.
        unsafe { launch(enqueue, &cast, at, dims) }
    })
}

/// Writes `value` to every element of `destination` along `walk`.
///
/// # Safety
/// As [`copy`], for the destination.
pub(super) unsafe fn fill(
    enqueue: &Enqueue<'_>,
    walk: &Walk,
    destination: DeviceElements<'_>,
    value: &[u8],
) -> Result<(), StorageError> {
    let address = destination.address.wrapping_add_signed(walk.destination_start) as u64;
    let mut axes = Axes::from(walk.axes());
    let start = Starts { source: address, destination: address };
    let value = &widened(value, &mut axes, start);
    let steps = axes.iter().fold(0, |all, axis| all | axis.destination);
    let width = Width::dividing(value.len() as u64 | steps as u64 | start.destination);
    // Where an item is not aligned to its size it is written in pieces.
    for (piece, bytes) in value.chunks_exact(width.bytes()).enumerate() {
        let offset = (piece * width.bytes()) as u64;
        let at = Starts { destination: start.destination + offset, ..start };
        let mut wide = [0_u8; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        in_launches(&axes, at, &mut |dims, at| {
            // SAFETY: promised by the caller; the value has the kernel's width.
            unsafe { launch_fill(enqueue, &kernels::fill(width, &dims), at, wide, dims) }
        })?;
    }
    Ok(())
}

/// The value, repeated as often as 16 bytes hold and a block without gaps allows; the axes are those
/// of the wider elements then.
fn widened(value: &[u8], axes: &mut Axes, start: Starts) -> Vec<u8> {
    let item_bytes = value.len();
    let [run] = axes.as_mut_slice() else { return value.to_vec() };
    if run.destination != item_bytes as isize {
        return value.to_vec();
    }
    let block_bytes = run.len * item_bytes;
    let width = Width::dividing(block_bytes as u64 | start.destination).bytes().max(item_bytes);
    (run.len, run.destination) = (block_bytes / width, width as isize);
    value.repeat(width / item_bytes)
}

fn as_dim(axis: Axis) -> Option<Dim> {
    let len = u32::try_from(axis.len).ok().filter(|&len| len <= MAX_ELEMENTS)?;
    Some(Dim::new(len, axis.source as i64, axis.destination as i64))
}

/// Calls `visit` with parts that a launch can do, which together are all elements.
fn in_launches(
    axes: &[Axis],
    at: Starts,
    visit: &mut dyn FnMut(Dims, Starts) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let whole = axes.iter().map(|&axis| as_dim(axis)).collect::<Option<Axes8>>();
    if let Some(dims) = whole.and_then(|dims| Dims::new(&dims)) {
        return visit(dims, at);
    }
    // Too many axes or elements: one index, or as many as a launch takes, of the outermost axis.
    let (outer, rest) = axes.split_first().ok_or(StorageError::NoKernel { name: "strided" })?;
    let inner: u128 = rest.iter().map(|axis| axis.len as u128).product();
    let at_once = match rest.len() < MAX_DIMS {
        true => (u128::from(MAX_ELEMENTS) / inner).min(outer.len as u128) as usize,
        false => 0,
    };
    if at_once == 0 {
        return (0..outer.len)
            .try_for_each(|index| in_launches(rest, at.step(*outer, index), visit));
    }
    for start in (0..outer.len).step_by(at_once) {
        let mut part: Axes = axes.into();
        part[0].len = at_once.min(outer.len - start);
        in_launches(&part, at.step(*outer, start), visit)?;
    }
    Ok(())
}

type Axes8 = SmallVec<[Dim; MAX_DIMS]>;

/// # Safety
/// As [`copy`], for a kernel with these parameters.
unsafe fn launch<P>(
    enqueue: &Enqueue<'_>,
    launch: &Launch,
    at: Starts,
    parameters: P,
) -> Result<(), StorageError> {
    let Starts { mut source, mut destination } = at;
    let mut parameters = parameters;
    let pointers: &mut [*mut c_void] = &mut [
        (&raw mut destination).cast(),
        (&raw mut source).cast(),
        (&raw mut parameters).cast(),
    ];
    // SAFETY: promised by the caller: destination, source and `P` are the kernel's parameters.
    unsafe { enqueue.launch(&as_kernel(launch), pointers) }
}

/// # Safety
/// As [`launch`]; `value` begins with as many bytes as the kernel's elements have.
unsafe fn launch_fill(
    enqueue: &Enqueue<'_>,
    launch: &Launch,
    at: Starts,
    value: [u8; 16],
    dims: Dims,
) -> Result<(), StorageError> {
    #[repr(align(16))]
    struct Value([u8; 16]);
    let (mut destination, mut value, mut dims) = (at.destination, Value(value), dims);
    let pointers: &mut [*mut c_void] =
        &mut [(&raw mut destination).cast(), (&raw mut value.0).cast(), (&raw mut dims).cast()];
    // SAFETY: promised by the caller.
    unsafe { enqueue.launch(&as_kernel(launch), pointers) }
}

fn as_kernel(launch: &Launch) -> Kernel {
    let Launch { kernel: name, grid, threads, shared_bytes } = *launch;
    Kernel { name, module: kernels::module_text, grid, threads, shared_bytes }
}
