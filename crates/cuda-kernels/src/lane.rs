//! `Lane`: what one thread of a launch can do, on the GPU or in an emulator.

use bytemuck::Pod;

/// Threads per block of every launch.
pub const THREADS: u32 = 256;

/// One thread of a launch: its position, its access to device memory and to its block's memory.
pub(crate) trait Lane: Copy {
    /// Its index in the block, below [`THREADS`].
    fn thread(self) -> u32;

    /// The block's index in the grid.
    fn block(self) -> u32;

    /// # Safety
    /// `from` is aligned, and points to a `T` in device memory that nobody writes meanwhile.
    unsafe fn load<T: Pod>(self, from: *const T) -> T;

    /// # Safety
    /// `to` is aligned, and points to room for a `T` in device memory that nobody else uses
    /// meanwhile.
    unsafe fn store<T: Pod>(self, to: *mut T, value: T);

    /// # Safety
    /// The block's memory has an element `index` of type `T`; a thread stored it before the last
    /// barrier.
    unsafe fn shared_load<T: Pod>(self, index: u32) -> T;

    /// # Safety
    /// The block's memory has room for an element `index` of type `T`, that no other thread uses
    /// before the next barrier.
    unsafe fn shared_store<T: Pod>(self, index: u32, value: T);
}
