//! Threads that take turns between driver calls.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};

use ndbridge_cuda_emulator::{Thread, interleave, reset, switch, violations};

use crate::harness::*;
use crate::violations::assert_found;

/// Two threads of three calls each.
fn turns(context: usize, seed: u64) -> Vec<(usize, &'static str)> {
    let calls = || {
        set_current(context);
        assert_eq!((query(0), query(0)), (0, 0));
    };
    interleave(seed, vec![Box::new(calls), Box::new(calls)])
}

#[test]
fn the_seed_decides_who_goes_on() {
    let setup = Setup::new();
    let context = setup.contexts[0];
    let all: Vec<_> = (0..400).map(|seed| turns(context, seed)).collect();
    let expected = ["cuCtxSetCurrent", "cuStreamQuery", "cuStreamQuery"];
    for (seed, calls) in all.iter().enumerate() {
        assert_eq!(*calls, turns(context, seed as u64), "seed {seed}");
        for thread in 0..2 {
            let own = calls.iter().filter(|(number, _)| *number == thread);
            assert!(own.map(|(_, call)| *call).eq(expected), "seed {seed}: {calls:?}");
        }
    }
    let orders: BTreeSet<Vec<usize>> =
        all.iter().map(|calls| calls.iter().map(|(thread, _)| *thread).collect()).collect();
    assert_eq!(orders.len(), 20, "each order of three and three calls");
}

/// A list of addresses that one thread fills and another one frees, as late memory is.
struct Late<'a> {
    context: usize,
    stream: Stream,
    pool: &'a Pool<'a>,
    list: Mutex<Vec<u64>>,
}

impl Late<'_> {
    fn use_and_push(&self) {
        set_current(self.context);
        let addr = self.pool.alloc(16, self.stream).unwrap();
        assert_eq!(fill(addr, 1, 16, self.stream), 0);
        self.list.lock().unwrap().push(addr);
    }

    fn free(&self, list: Vec<u64>) {
        list.into_iter().for_each(|addr| assert_eq!(free_async(addr, 0), 0));
    }

    fn wait_then_take(&self) {
        set_current(self.context);
        assert_eq!(synchronize(), 0);
        let list = std::mem::take(&mut *self.list.lock().unwrap());
        self.free(list);
    }

    fn take_then_wait(&self) {
        set_current(self.context);
        let list = std::mem::take(&mut *self.list.lock().unwrap());
        assert_eq!(synchronize(), 0);
        self.free(list);
    }
}

/// Runs a schedule for each seed; those in which memory was freed while it was in use.
fn wrong_schedules(setup: &Setup, seeds: u64, end: impl Fn(&Late<'_>) + Sync) -> u64 {
    let pool = Pool::new(setup, 0);
    let stream = stream(1);
    let wrong = (0..seeds).filter(|seed| {
        let late = Late { context: setup.contexts[0], stream, pool: &pool, list: Mutex::default() };
        interleave(*seed, vec![Box::new(|| late.use_and_push()), Box::new(|| end(&late))]);
        ndbridge_cuda_emulator::drain();
        let is_wrong = !violations().is_empty();
        reset(); // work on freed memory ends the context
        assert_eq!(synchronize(), 0);
        late.free(std::mem::take(&mut *late.list.lock().unwrap()));
        assert_eq!((synchronize(), violations()), (0, vec![]));
        is_wrong
    });
    let wrong = wrong.count() as u64;
    assert_eq!((destroy(stream), pool.destroy()), (0, 0));
    wrong
}

#[test]
fn ten_thousand_schedules_find_a_list_that_is_taken_after_the_wait() {
    let setup = Setup::new();
    let wrong = wrong_schedules(&setup, 1_000, |late| late.wait_then_take());
    assert!(wrong > 10, "{wrong} schedules");
    assert_eq!(wrong_schedules(&setup, 10_000, |late| late.take_then_wait()), 0);
}

#[test]
fn a_thread_that_waits_for_a_lock_gives_its_turn_away() {
    let setup = Setup::new();
    let (context, lock, sum) = (setup.contexts[0], Mutex::new(()), AtomicU32::new(0));
    for seed in 0..20 {
        let hold = || {
            let _held = lock.lock().unwrap();
            set_current(context);
            assert_eq!(query(0), 0);
            sum.fetch_add(1, Ordering::Relaxed);
        };
        let calls = interleave(seed, vec![Box::new(hold), Box::new(hold), Box::new(hold)]);
        assert_eq!(calls.len(), 6);
    }
    assert_eq!(sum.into_inner(), 60);
}

#[test]
fn threads_that_wait_for_each_other_end_the_process() {
    let mut twin = std::process::Command::new(std::env::current_exe().unwrap());
    twin.args(["--ignored", "--exact", "--nocapture", "interleavings::deadlock"]);
    let output = twin.output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("deadlock in the interleaving of seed 5"), "{text}");
}

#[test]
#[ignore = "ends its process: started by its twin"]
fn deadlock() {
    let (first, second, both) = (Mutex::new(()), Mutex::new(()), Barrier::new(2));
    let take = |one: &Mutex<()>, other: &Mutex<()>| {
        let held = one.lock().unwrap();
        both.wait();
        drop((other.lock().unwrap(), held));
    };
    let (here, there) = (|| take(&first, &second), || take(&second, &first));
    interleave(5, vec![Box::new(here), Box::new(|| ()), Box::new(there)]);
}

#[test]
fn a_panic_of_a_thread_comes_out() {
    let _setup = Setup::new();
    let done = AtomicU32::new(0);
    let threads: Vec<Thread<'_>> = vec![
        Box::new(|| panic!("on purpose")),
        Box::new(|| {
            switch();
            done.fetch_add(1, Ordering::Relaxed);
        }),
    ];
    let outcome = catch_unwind(AssertUnwindSafe(|| interleave(3, threads)));
    assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!(done.into_inner(), 1, "the others go on");
    // Outside of an interleaving the points do nothing.
    switch();
    let both = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| both.wait());
        both.wait();
    });
    assert_found!();
}
