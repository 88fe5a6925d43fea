//! A thread on the GPU.

use core::arch::nvptx;
use core::intrinsics::gpu::gpu_launch_sized_workgroup_mem;

use bytemuck::Pod;

use crate::lane::Lane;

#[derive(Clone, Copy)]
pub(crate) struct Gpu;

impl Lane for Gpu {
    #[inline(always)]
    fn thread(self) -> u32 {
        // SAFETY: reads a register.
        unsafe { nvptx::_thread_idx_x() as u32 }
    }

    #[inline(always)]
    fn block(self) -> u32 {
        // SAFETY: reads a register.
        unsafe { nvptx::_block_idx_x() as u32 }
    }

    #[inline(always)]
    unsafe fn load<T: Pod>(self, from: *const T) -> T {
        // SAFETY: promised by the caller.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn store<T: Pod>(self, to: *mut T, value: T) {
        // SAFETY: promised by the caller.
        unsafe { *to = value }
    }

    #[inline(always)]
    unsafe fn shared_load<T: Pod>(self, index: u32) -> T {
        let from = gpu_launch_sized_workgroup_mem::<T>().wrapping_add(index as usize);
        // SAFETY: promised by the caller.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn shared_store<T: Pod>(self, index: u32, value: T) {
        let to = gpu_launch_sized_workgroup_mem::<T>().wrapping_add(index as usize);
        // SAFETY: promised by the caller.
        unsafe { *to = value }
    }
}

/// Waits for all threads of the block.
#[inline(always)]
pub(crate) fn barrier() {
    // SAFETY: every thread of a block comes here.
    unsafe { nvptx::_syncthreads() }
}

// A library without `std` needs one; no kernel comes here, which a test of the PTX checks.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: ends the launch with an error.
    unsafe { nvptx::trap() }
}
