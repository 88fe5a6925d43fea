//! Waits that cannot end: under a lock, or for one that the waiting thread holds.

use std::fs;
use std::sync::Arc;

use crate::code::{Code, LAUNCH_TIMEOUT};
use crate::machine::{CALL, Machine};
use crate::violation::Violation;

/// Whether the calling thread holds a lock of the program.
pub type HeldLock = Arc<dyn Fn() -> bool + Send + Sync>;

impl Machine {
    /// The call that this thread is in waits for work that has not run.
    pub fn report_held_lock(&mut self) {
        if self.lock.as_ref().is_some_and(|is_held| is_held()) {
            self.violations.push(Violation::WaitUnderLock { call: CALL.get() });
        }
    }
}

/// How long a call waits for functions of the program: for ever, as long as anything moves.
#[derive(Default)]
pub struct Patience {
    calls: u64,
    looks: u32,
}

impl Patience {
    /// So often nothing may move from one look to the next, 5 ms later.
    const LOOKS: u32 = 200;

    /// Looks whether the process still moves: some other thread runs, or called the driver. One
    /// that waits for a processor counts as running, so a busy machine changes nothing.
    pub fn look(&mut self, machine: &mut Machine) -> Result<(), Code> {
        let calls = machine.calls.values().sum();
        let moves = calls != self.calls || !all_others_sleep();
        (self.calls, self.looks) = (calls, if moves { 0 } else { self.looks + 1 });
        if self.looks < Patience::LOOKS {
            return Ok(());
        }
        machine.violations.push(Violation::Deadlock { call: CALL.get() });
        Err(LAUNCH_TIMEOUT)
    }
}

/// Whether every thread but this one sleeps; without `/proc`, no.
fn all_others_sleep() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return false };
    let states =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    states.filter(|stat| !is_asleep(stat)).count() <= 1
}

/// The state stands behind the name, which may hold anything.
pub fn is_asleep(stat: &str) -> bool {
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}
