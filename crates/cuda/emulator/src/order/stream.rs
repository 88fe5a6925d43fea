//! Streams: queues, and the order they impose.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Order;
use super::clock::{Clock, Stamp, merge};
use crate::code::{Code, ILLEGAL_ADDRESS, INVALID_HANDLE, NOT_READY, STREAM_CAPTURE_UNSUPPORTED};
use crate::host_function;
use crate::machine::{Machine, thread_number};
use crate::waits::Patience;
use crate::work::Work;

pub struct Operation {
    pub stamp: Stamp,
    /// What it waits for, beside what stands before it in its stream.
    after: Vec<(u64, u64)>,
    pub work: Work,
}

#[derive(Default)]
pub struct Stream {
    pub context: u64,
    pub device: usize,
    pub flags: u32,
    pub priority: i32,
    pub submitted: u64,
    done: u64,
    clock: Clock,
    pub queue: VecDeque<Operation>,
    /// The capture it takes part in.
    pub capture: Option<u64>,
    /// The operation whose function of the program is running.
    calls: Option<u64>,
    /// The program destroyed it; what is queued still runs.
    is_destroyed: bool,
}

const NON_BLOCKING: u32 = 1;

impl Stream {
    /// Whether it and the legacy default stream wait for each other.
    pub fn is_blocking(&self) -> bool {
        self.flags & NON_BLOCKING == 0
    }
}

impl Machine {
    /// The stream that the program's handle means: 0 and 1 are the legacy default stream, 2 the
    /// calling thread's own.
    pub fn stream(&mut self, handle: u64, context: usize) -> Result<u64, Code> {
        match handle {
            0 | 1 => Ok(self.contexts[context].legacy),
            2 => Ok(self.thread_stream(context)),
            other if self.streams.get(&other).is_some_and(|s| !s.is_destroyed) => Ok(other),
            _ => Err(INVALID_HANDLE),
        }
    }

    pub fn new_stream(&mut self, context: usize, flags: u32, priority: i32) -> u64 {
        let handle = self.handle();
        let (context, device) = (self.contexts[context].handle, self.contexts[context].device);
        let stream = Stream { context, device, flags, priority, ..Stream::default() };
        self.streams.insert(handle, stream);
        handle
    }

    fn thread_stream(&mut self, context: usize) -> u64 {
        let key = (self.contexts[context].handle, thread_number());
        if let Some(stream) = self.thread_streams.get(&key) {
            return *stream;
        }
        let stream = self.new_stream(context, 0, 0);
        self.thread_streams.insert(key, stream);
        stream
    }

    /// Queues work on a stream; `None` if the stream captures, where it is recorded.
    pub fn submit(&mut self, stream: u64, by: &str, work: Work) -> Result<Option<Stamp>, Code> {
        if let Some(capture) = self.streams[&stream].capture {
            return self.captured(capture, by, work).map(|()| None);
        }
        self.submit_after(stream, by, Vec::new(), &Clock::new(), work).map(Some)
    }

    /// Queues work that waits for `after` and knows of `seen`.
    pub fn submit_after(
        &mut self,
        stream: u64,
        by: &str,
        mut after: Vec<(u64, u64)>,
        seen: &Clock,
        work: Work,
    ) -> Result<Stamp, Code> {
        self.legacy_in_capture(stream)?;
        after.extend(self.implied(stream));
        let clock = self.clock_after(stream, &after, seen);
        let to = self.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        to.submitted += 1;
        to.clock = clock.clone();
        let number = to.submitted;
        let name = stream & 0xffff_ffff;
        let stamp = Stamp {
            id: (stream, number),
            by: format!("{by} (operation {number} of stream {name})").into(),
            device: to.device,
            is_peer_copy: matches!(&work, Work::Copy(copy) if copy.is_peer),
            clock: Arc::new(clock),
        };
        to.queue.push_back(Operation { stamp: stamp.clone(), after, work });
        if self.order == Order::Eager {
            self.advance(stream, number)?;
        }
        Ok(stamp)
    }

    /// The legacy default stream and the blocking streams wait for each other.
    fn implied(&self, stream: u64) -> Vec<(u64, u64)> {
        let this = &self.streams[&stream];
        let legacy = self.legacy_of(this.context);
        if stream == legacy {
            let others = self.streams.iter().filter(|(handle, other)| {
                **handle != legacy && other.context == this.context && other.is_blocking()
            });
            return others.map(|(handle, other)| (*handle, other.submitted)).collect();
        }
        match self.streams.get(&legacy) {
            Some(other) if this.is_blocking() => vec![(legacy, other.submitted)],
            _ => Vec::new(),
        }
    }

    fn clock_after(&self, stream: u64, after: &[(u64, u64)], seen: &Clock) -> Clock {
        let mut clock = self.streams[&stream].clock.clone();
        merge(&mut clock, &self.host_clock);
        merge(&mut clock, seen);
        for (other, count) in after {
            // Of an event, `seen` is all; of an implied wait, everything the stream has.
            let waited = &self.streams[other];
            if *count == waited.submitted {
                merge(&mut clock, &waited.clock);
            }
            let known = clock.entry(*other).or_default();
            *known = (*known).max(*count);
        }
        clock.insert(stream, self.streams[&stream].submitted + 1);
        clock
    }

    /// Runs a stream's operations up to the `count`th, and whatever those wait for, as far as that
    /// goes without waiting for a function of the program; whether it went all the way.
    pub fn advance(&mut self, stream: u64, count: u64) -> Result<bool, Code> {
        while let Some(after) = self.next(stream, count) {
            for (index, (other, number)) in after.iter().enumerate() {
                if !self.advance(*other, *number)? {
                    self.wait_on(stream, after[index..].to_vec());
                    return Ok(false);
                }
            }
            if self.is_calling(stream) {
                return Ok(false);
            }
            let Some(operation) = self.take_next(stream) else { return Ok(true) };
            let outcome = self.perform(&operation);
            let Some(this) = self.streams.get_mut(&stream) else { return Ok(true) };
            this.done = operation.stamp.id.1;
            if let Err(code) = outcome {
                let context = this.context;
                self.break_context(context, code);
                return Err(code);
            }
        }
        Ok(true)
    }

    /// What the next operation waits for, if it is not past the `count`th.
    fn next(&mut self, stream: u64, count: u64) -> Option<Vec<(u64, u64)>> {
        let next = self.streams.get_mut(&stream)?.queue.front_mut()?;
        if next.stamp.id.1 > count { None } else { Some(std::mem::take(&mut next.after)) }
    }

    fn wait_on(&mut self, stream: u64, after: Vec<(u64, u64)>) {
        let queue = self.streams.get_mut(&stream).map(|stream| &mut stream.queue);
        if let Some(next) = queue.and_then(VecDeque::front_mut) {
            next.after = after;
        }
    }

    fn take_next(&mut self, stream: u64) -> Option<Operation> {
        self.streams.get_mut(&stream)?.queue.pop_front()
    }

    /// Whether the next operation is a function of the program; starts it if it did not run yet.
    fn is_calling(&mut self, stream: u64) -> bool {
        let Some(this) = self.streams.get_mut(&stream) else { return false };
        let Some(Operation { work: Work::Host(function, data), stamp, .. }) = this.queue.front()
        else {
            return false;
        };
        if this.calls.is_none() {
            this.calls = Some(stamp.id.1);
            host_function::start(*function, *data, stream);
        }
        true
    }

    /// A function of the program came back.
    pub fn called(&mut self, stream: u64) {
        let Some(this) = self.streams.get_mut(&stream) else { return };
        this.queue.pop_front();
        if let Some(number) = this.calls.take() {
            this.done = number;
        }
        if this.is_destroyed {
            let _ = self.finish_destroyed(stream);
        }
    }

    /// As [`Machine::advance`], and waits for the program's functions.
    pub fn run(&mut self, stream: u64, count: u64) -> Result<(), Code> {
        let mut patience = Patience::default();
        while !self.advance(stream, count)? {
            patience.look(self)?;
            self.let_others();
        }
        Ok(())
    }

    /// Runs a stream up to its `count`th operation, and lets the host know.
    pub fn join(&mut self, stream: u64, count: u64) -> Result<(), Code> {
        if self.streams.get(&stream).is_some_and(|stream| stream.done < count) {
            self.report_held_lock();
        }
        self.run(stream, count)?;
        if let Some(joined) = self.streams.get(&stream)
            && count == joined.submitted
        {
            merge(&mut self.host_clock, &joined.clock);
        }
        let known = self.host_clock.entry(stream).or_default();
        *known = (*known).max(count);
        self.settle();
        self.memory.release_unused();
        Ok(())
    }

    pub fn join_context(&mut self, context: u64) -> Result<(), Code> {
        let streams = self.streams.iter().filter(|(_, stream)| stream.context == context);
        let all: Vec<_> = streams.map(|(handle, stream)| (*handle, stream.submitted)).collect();
        // The work of streams that are gone has run as well by then.
        let (gone, others) =
            std::mem::take(&mut self.gone).into_iter().partition(|g| g.0 == context);
        self.gone = others;
        let gone: Vec<(u64, Clock)> = gone;
        gone.iter().for_each(|(_, clock)| merge(&mut self.host_clock, clock));
        all.into_iter().try_for_each(|(stream, count)| self.join(stream, count))
    }

    /// Runs everything that is queued, as time passing would; the host learns nothing of it.
    pub fn drain(&mut self) {
        let all: Vec<_> =
            self.streams.iter().map(|(handle, stream)| (*handle, stream.submitted)).collect();
        for (stream, count) in all {
            // What went wrong is the context's error, and a violation.
            let _ = self.run(stream, count);
        }
    }

    /// As [`Machine::drain`], and the host knows.
    pub fn catch_up(&mut self) {
        self.drain();
        for (handle, stream) in &self.streams {
            merge(&mut self.host_clock, &stream.clock);
            self.host_clock.insert(*handle, stream.submitted);
        }
        self.settle();
        self.memory.release_unused();
    }

    pub fn synchronize(&mut self, call: &'static str, stream: u64) -> Result<(), Code> {
        self.no_wait_on_capture(call, stream)?;
        let count = self.streams[&stream].submitted;
        self.join(stream, count)
    }

    /// One operation of progress for each query that finds work.
    pub fn query(&mut self, stream: u64) -> Result<(), Code> {
        self.no_wait_on_capture("cuStreamQuery", stream)?;
        if self.streams[&stream].queue.is_empty() {
            let count = self.streams[&stream].submitted;
            return self.join(stream, count);
        }
        self.step(stream)?;
        Err(NOT_READY)
    }

    fn no_wait_on_capture(&mut self, call: &'static str, stream: u64) -> Result<(), Code> {
        match self.streams[&stream].capture {
            Some(capture) => Err(self.lost(call, &[capture], STREAM_CAPTURE_UNSUPPORTED)),
            None => {
                self.legacy_in_capture(stream)?;
                self.unsafe_in_capture(call)
            }
        }
    }

    pub fn step(&mut self, stream: u64) -> Result<(), Code> {
        let count = self.streams[&stream].done + 1;
        self.advance(stream, count).map(drop)
    }

    /// Its work still completes; the handle is gone.
    pub fn destroy_stream(&mut self, stream: u64) -> Result<(), Code> {
        let this = self.streams.get_mut(&stream).filter(|stream| !stream.is_destroyed);
        this.ok_or(INVALID_HANDLE)?.is_destroyed = true;
        self.finish_destroyed(stream).map_err(|_| ILLEGAL_ADDRESS)
    }

    fn finish_destroyed(&mut self, stream: u64) -> Result<(), Code> {
        let outcome = self.advance(stream, u64::MAX);
        if outcome != Ok(false)
            && let Some(removed) = self.streams.remove(&stream)
        {
            self.gone.push((removed.context, removed.clock));
        }
        outcome.map(drop)
    }

    /// Queued work that uses any of these bytes.
    pub fn queued_use(&self, start: u64, len: u64) -> Option<String> {
        let mut all = self.streams.values().flat_map(|stream| &stream.queue);
        let user = all.find(|operation| operation.work.uses(start, len));
        user.map(|operation| operation.stamp.by.to_string())
    }

    /// Forgets accesses that are before everything still to come.
    pub fn settle(&mut self) {
        let queues = self.streams.values().flat_map(|stream| &stream.queue);
        let queued: Vec<_> = queues.map(|operation| operation.stamp.clock.clone()).collect();
        self.memory.settle(&self.host_clock, &queued);
    }
}
