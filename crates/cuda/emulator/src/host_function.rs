//! Functions of the program that streams call (`cuLaunchHostFunc`), on a thread of their own.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::arguments::HostFunction;
use crate::machine::{IN_HOST_FUNCTION, with};

struct Call {
    function: HostFunction,
    data: usize,
    stream: u64,
}

/// Calls a function soon, one after the other. [`crate::machine::Machine::called`] tells its stream.
pub fn start(function: HostFunction, data: usize, stream: u64) {
    static CALLS: Mutex<Option<Sender<Call>>> = Mutex::new(None);
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let call = Call { function, data, stream };
    // The thread ends with the process.
    let _ = calls.get_or_insert_with(start_thread).send(call);
}

fn start_thread() -> Sender<Call> {
    let (sender, calls) = channel::<Call>();
    thread::spawn(move || {
        IN_HOST_FUNCTION.set(true);
        for Call { function, data, stream } in calls {
            function.call(data);
            with(|machine| machine.called(stream));
        }
    });
    sender
}
