//! Kernels as functions of the host, for an emulated driver.

use std::cell::RefCell;

use bytemuck::Pod;

use crate::lane::Lane;

/// Memory of an emulated device. It checks and reports what it refuses.
pub trait Memory {
    /// Copies the bytes at `addr` into `into`; false, with `into` as it was, if it refuses.
    fn read(&self, addr: u64, into: &mut [u8]) -> bool;

    /// Copies `from` to `addr`; false if it refuses.
    fn write(&self, addr: u64, from: &[u8]) -> bool;
}

/// What every thread of a block does between two barriers, given pointers to the parameters.
pub type Phase = unsafe fn(Thread<'_>, &[*const u8]);

/// One kernel.
pub struct Kernel {
    /// The name of its entry in the PTX.
    pub name: &'static str,
    /// Sizes of its parameters in bytes.
    pub params: &'static [usize],
    /// Its parts: all threads of a block end one before they begin the next.
    pub phases: &'static [Phase],
}

impl Kernel {
    /// Runs a launch, block after block, and in each thread after thread.
    ///
    /// # Panics
    /// If the block's memory of `shared` bytes is too small, or an access is not aligned.
    ///
    /// # Safety
    /// `args` points to parameters of the sizes in [`params`](Self::params). (Addresses among them
    /// are not trusted: each access is asked of `memory`.)
    pub unsafe fn run(
        &self,
        grid: [u32; 3],
        threads: u32,
        shared: usize,
        args: &[*const u8],
        memory: &dyn Memory,
    ) {
        let [blocks, rows, layers] = grid;
        for _ in 0..u64::from(rows) * u64::from(layers) {
            for block in 0..blocks {
                // Not zeros, so that a place nobody wrote is seen.
                let shared = RefCell::new(vec![0xcd; shared]);
                for phase in self.phases {
                    for thread in 0..threads {
                        let thread = Thread { thread, block, memory, shared: &shared };
                        // SAFETY: promised by the caller.
                        unsafe { phase(thread, args) }
                    }
                }
            }
        }
    }
}

/// One thread of a launch.
#[derive(Clone, Copy)]
pub struct Thread<'a> {
    thread: u32,
    block: u32,
    memory: &'a dyn Memory,
    shared: &'a RefCell<Vec<u8>>,
}

fn assert_aligned<T>(addr: usize) {
    assert!(
        addr % align_of::<T>() == 0,
        "address {addr:#x} is not a multiple of {}",
        align_of::<T>()
    );
}

fn range_of<T>(index: u32) -> std::ops::Range<usize> {
    let start = index as usize * size_of::<T>();
    start..start + size_of::<T>()
}

impl Lane for Thread<'_> {
    fn thread(self) -> u32 {
        self.thread
    }

    fn block(self) -> u32 {
        self.block
    }

    unsafe fn load<T: Pod>(self, from: *const T) -> T {
        assert_aligned::<T>(from.addr());
        let mut value = T::zeroed();
        self.memory.read(from.addr() as u64, bytemuck::bytes_of_mut(&mut value));
        value
    }

    unsafe fn store<T: Pod>(self, to: *mut T, value: T) {
        assert_aligned::<T>(to.addr());
        self.memory.write(to.addr() as u64, bytemuck::bytes_of(&value));
    }

    unsafe fn shared_load<T: Pod>(self, index: u32) -> T {
        bytemuck::pod_read_unaligned(&self.shared.borrow()[range_of::<T>(index)])
    }

    unsafe fn shared_store<T: Pod>(self, index: u32, value: T) {
        let bytes = bytemuck::bytes_of(&value);
        self.shared.borrow_mut()[range_of::<T>(index)].copy_from_slice(bytes);
    }
}

/// The next parameter, a pointer. It is an address of emulated memory, and never followed.
///
/// # Safety
/// As for [`value`].
pub(crate) unsafe fn pointer<T>(args: &mut &[*const u8]) -> *mut T {
    // SAFETY: promised by the caller.
    let addr: u64 = unsafe { value(args) };
    std::ptr::without_provenance_mut(addr as usize)
}

/// The next parameter, a value.
///
/// # Panics
/// If there are no more.
///
/// # Safety
/// It points to a `T`, aligned or not.
pub(crate) unsafe fn value<T: Pod>(args: &mut &[*const u8]) -> T {
    let arg = args.split_off_first().expect("as many arguments as parameters");
    // SAFETY: promised by the caller.
    unsafe { arg.cast::<T>().read_unaligned() }
}
