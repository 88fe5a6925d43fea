//! The emulated machine: everything that driver calls change, behind one lock.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ndbridge_cuda_kernels::KERNELS;
use ndbridge_cuda_kernels::host::Kernel;

use crate::capture::{Capture, Graph};
use crate::code::{CONTEXT_IS_DESTROYED, Code, INVALID_CONTEXT, INVALID_DEVICE};
use crate::memory::Memory;
use crate::order::Order;
use crate::order::clock::Clock;
use crate::order::event::Event;
use crate::order::stream::Stream;
use crate::violation::Violation;

pub struct Context {
    pub device: usize,
    pub retained: u32,
    pub handle: u64,
    /// What every call answers after work failed.
    pub sticky: Option<Code>,
    /// Its legacy default stream.
    pub legacy: u64,
}

pub struct Module {
    pub context: u64,
    /// Entry points and the sizes of their parameters, read from the PTX.
    pub entries: HashMap<String, Vec<usize>>,
}

#[derive(Clone, Copy)]
pub struct Function {
    pub module: u64,
    pub kernel: &'static Kernel,
}

/// The call whose `nth` occurrence answers `code` and does nothing else.
pub struct Fault {
    pub call: String,
    pub nth: u64,
    pub code: Code,
}

#[derive(Default)]
pub struct Machine {
    pub is_ready: bool,
    pub order: Order,
    pub contexts: Vec<Context>,
    pub memory: Memory,
    /// The pool of `cuMemAllocAsync`, for each device.
    pub current_pools: Vec<u64>,
    pub default_pools: Vec<u64>,
    pub streams: BTreeMap<u64, Stream>,
    /// The default streams of threads, by context and thread.
    pub thread_streams: HashMap<(u64, u64), u64>,
    pub events: HashMap<u64, Event>,
    pub captures: BTreeMap<u64, Capture>,
    pub graphs: HashMap<u64, Arc<Graph>>,
    pub modules: HashMap<u64, Module>,
    pub functions: HashMap<u64, Function>,
    pub kernels: HashMap<&'static str, &'static Kernel>,
    /// What the host knows to have happened. One clock for all threads: what one thread does after
    /// another handed over to it is in order, however they told each other.
    /// Context and last clock of streams that were destroyed, until the context is waited for.
    pub gone: Vec<(u64, Clock)>,
    pub host_clock: Clock,
    pub tick: u64,
    pub calls: BTreeMap<&'static str, u64>,
    pub faults: Vec<Fault>,
    pub violations: Vec<Violation>,
    /// Addresses past each allocation that are reserved with it.
    pub reserved_past: u64,
}

static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);

thread_local! {
    /// This thread's stack of contexts.
    static CONTEXTS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// Whether a function that a stream calls is running on this thread.
    pub static IN_HOST_FUNCTION: Cell<bool> = const { Cell::new(false) };
    static THREAD_NUMBER: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// This thread's contexts, the current one last.
pub fn with_context_stack<R>(f: impl FnOnce(&mut Vec<u64>) -> R) -> R {
    CONTEXTS.with_borrow_mut(f)
}

pub fn current_context() -> u64 {
    with_context_stack(|contexts| contexts.last().copied().unwrap_or(0))
}

pub fn thread_number() -> u64 {
    THREAD_NUMBER.with(|number| *number)
}

/// Runs `f` on the machine, which is made with two devices of 1 GiB if there is none.
pub fn with<R>(f: impl FnOnce(&mut Machine) -> R) -> R {
    let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    f(machine.get_or_insert_with(|| Machine::new(&[1 << 30; 2], Order::Lazy)))
}

/// Replaces the machine. It counts as initialised if the former was.
pub fn replace(devices: &[usize], order: Order) {
    let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_ready = machine.as_ref().is_some_and(|machine| machine.is_ready);
    *machine = Some(Machine { is_ready, ..Machine::new(devices, order) });
}

impl Machine {
    fn new(devices: &[usize], order: Order) -> Machine {
        let kernels = KERNELS.iter().map(|kernel| (kernel.name, kernel)).collect();
        let memory = Memory::new(devices);
        let mut machine = Machine { order, memory, kernels, ..Machine::default() };
        machine.default_pools = (0..devices.len()).map(|d| machine.new_pool(d, true)).collect();
        machine.current_pools = machine.default_pools.clone();
        machine
    }

    /// A handle that was never given before in this process.
    pub fn handle(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        0x00e0_0000_0000_0000 | NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub fn device(&self, device: i32) -> Result<usize, Code> {
        let device = usize::try_from(device).map_err(|_| INVALID_DEVICE)?;
        if device < self.memory.devices.len() { Ok(device) } else { Err(INVALID_DEVICE) }
    }

    /// The current context's place in the list; without one, a violation.
    pub fn context(&mut self, call: &'static str) -> Result<usize, Code> {
        let current = current_context();
        match self.contexts.iter().position(|c| c.handle == current && c.retained > 0) {
            Some(index) => match self.contexts[index].sticky {
                Some(code) => Err(code),
                None => Ok(index),
            },
            None => {
                self.violations.push(Violation::NoContext { call });
                Err(if current == 0 { INVALID_CONTEXT } else { CONTEXT_IS_DESTROYED })
            }
        }
    }

    pub fn legacy_of(&self, context: u64) -> u64 {
        let context = self.contexts.iter().find(|other| other.handle == context);
        context.map_or(0, |context| context.legacy)
    }

    pub fn break_context(&mut self, context: u64, code: Code) {
        if let Some(context) = self.contexts.iter_mut().find(|other| other.handle == context) {
            context.sticky = Some(code);
        }
    }
}
