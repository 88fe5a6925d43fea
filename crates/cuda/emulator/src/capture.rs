//! Stream capture: work that is recorded instead of run, and calls that would break it.
//!
//! # Limitations
//! A graph replays its work in the order of the calls that were captured. That a forked stream was
//! joined again is not checked. Allocating and freeing on a capturing stream is not supported.

use std::cell::Cell;
use std::sync::Arc;

use crate::code::{
    Code, INVALID_HANDLE, INVALID_VALUE, STREAM_CAPTURE_IMPLICIT, STREAM_CAPTURE_INVALIDATED,
    STREAM_CAPTURE_ISOLATION, STREAM_CAPTURE_MERGE, STREAM_CAPTURE_UNMATCHED,
    STREAM_CAPTURE_UNSUPPORTED, STREAM_CAPTURE_WRONG_THREAD,
};
use crate::machine::{Machine, thread_number};
use crate::modes;
use crate::order::stream::Stream;
use crate::violation::Violation;
use crate::work::Work;

pub const GLOBAL: u32 = 0;
pub const THREAD_LOCAL: u32 = 1;
pub const RELAXED: u32 = 2;

/// What a capture made.
pub struct Graph {
    /// The capture.
    id: u64,
    /// Names of calls, and what they queued.
    work: Vec<(String, Work)>,
}

pub struct Capture {
    origin: u64,
    thread: u64,
    mode: u32,
    is_valid: bool,
    work: Vec<(String, Work)>,
}

thread_local! {
    static MODE: Cell<u32> = const { Cell::new(GLOBAL) };
}

/// Sets this thread's mode; the former.
pub fn exchange_mode(mode: u32) -> Result<u32, Code> {
    if mode > RELAXED { Err(INVALID_VALUE) } else { Ok(MODE.replace(mode)) }
}

impl Machine {
    pub fn begin_capture(&mut self, stream: u64, mode: u32) -> Result<(), Code> {
        if mode > RELAXED {
            return Err(INVALID_VALUE);
        }
        let origin = self.streams.get(&stream).ok_or(INVALID_HANDLE)?;
        if origin.capture.is_some() || self.legacy_of(origin.context) == stream {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        let (handle, thread) = (self.handle(), thread_number());
        let capture = Capture { origin: stream, thread, mode, is_valid: true, work: Vec::new() };
        self.captures.insert(handle, capture);
        self.set_capture(stream, Some(handle));
        Ok(())
    }

    /// Ends a capture; its graph.
    pub fn end_capture(&mut self, stream: u64) -> Result<u64, Code> {
        let id = self.streams[&stream].capture.ok_or(INVALID_VALUE)?;
        let capture = self.captures.get(&id).ok_or(INVALID_VALUE)?;
        if capture.origin != stream {
            return Err(STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode != RELAXED && capture.thread != thread_number() {
            return Err(STREAM_CAPTURE_WRONG_THREAD);
        }
        for member in self.streams.values_mut().filter(|other| other.capture == Some(id)) {
            member.capture = None;
        }
        match self.captures.remove(&id) {
            Some(capture) if capture.is_valid => {
                Ok(self.add_graph(Arc::new(Graph { id, work: capture.work })))
            }
            _ => {
                self.memory.promises.forget(id);
                Err(STREAM_CAPTURE_INVALIDATED)
            }
        }
    }

    /// Ends all captures; nothing comes of them.
    pub fn end_captures(&mut self) {
        self.captures.clear();
        self.streams.values_mut().for_each(|stream| stream.capture = None);
    }

    /// 0: not capturing, 1: capturing, 2: the capture is lost.
    pub fn capture_status(&self, stream: u64) -> i32 {
        match self.streams[&stream].capture.and_then(|capture| self.captures.get(&capture)) {
            None => 0,
            Some(capture) if capture.is_valid => 1,
            Some(_) => 2,
        }
    }

    fn set_capture(&mut self, stream: u64, capture: Option<u64>) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.capture = capture;
        }
    }

    fn add_graph(&mut self, graph: Arc<Graph>) -> u64 {
        let handle = self.handle();
        self.graphs.insert(handle, graph);
        handle
    }

    pub fn instantiate(&mut self, graph: u64) -> Result<u64, Code> {
        let graph = self.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
        Ok(self.add_graph(graph))
    }

    pub fn launch_graph(&mut self, graph: u64, stream: u64) -> Result<(), Code> {
        let graph = self.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
        self.submit(stream, "cuGraphLaunch", Work::Graph(graph.id))?;
        for (by, work) in &graph.work {
            self.submit(stream, by, work.clone())?;
        }
        Ok(())
    }

    pub fn destroy_graph(&mut self, graph: u64) -> Result<(), Code> {
        let graph = self.graphs.remove(&graph).ok_or(INVALID_VALUE)?;
        // The last handle: what did not run never will.
        if Arc::strong_count(&graph) == 1 {
            self.memory.promises.forget(graph.id);
        }
        Ok(())
    }

    /// Records work, and marks the bytes that it will write.
    pub fn captured(&mut self, id: u64, by: &str, work: Work) -> Result<(), Code> {
        let written = self.written_by(&work);
        let capture = self.captures.get_mut(&id).filter(|capture| capture.is_valid);
        let capture = capture.ok_or(STREAM_CAPTURE_INVALIDATED)?;
        let by = format!("{by} (captured as {})", capture.work.len() + 1);
        for bytes in written {
            self.memory.promises.add(id, &by, bytes);
        }
        capture.work.push((by, work));
        Ok(())
    }

    /// A stream waits for an event of a capture, and so takes part in it.
    pub fn fork(&mut self, stream: u64, capture: u64) -> Result<(), Code> {
        if !self.captures.contains_key(&capture) {
            return Err(INVALID_VALUE);
        }
        match self.streams[&stream].capture {
            Some(own) if own != capture => {
                self.invalidate(&[own, capture]);
                Err(STREAM_CAPTURE_MERGE)
            }
            _ => {
                self.set_capture(stream, Some(capture));
                Ok(())
            }
        }
    }

    /// A capturing stream waits for an event of no capture.
    pub fn isolated(&mut self, capture: u64) -> Result<(), Code> {
        self.invalidate(&[capture]);
        Err(STREAM_CAPTURE_ISOLATION)
    }

    fn invalidate(&mut self, captures: &[u64]) {
        for capture in captures {
            if let Some(capture) = self.captures.get_mut(capture) {
                capture.is_valid = false;
            }
        }
    }

    /// Reports a call that breaks captures; its answer.
    pub fn lost(&mut self, call: &'static str, captures: &[u64], code: Code) -> Code {
        self.violations.push(Violation::SyncInCapture { call });
        self.invalidate(captures);
        code
    }

    /// The captures of a context's streams that are such.
    pub fn captures_of(&self, context: u64, is_such: impl Fn(&Stream) -> bool) -> Vec<u64> {
        let streams = self.streams.values();
        let such = streams.filter(|stream| stream.context == context && is_such(stream));
        such.filter_map(|stream| stream.capture).collect()
    }

    /// The captures that work on this stream would break: if it is the legacy default stream, those
    /// of the streams that wait for it.
    pub fn implicit(&self, stream: u64) -> Result<Vec<u64>, Code> {
        let context = self.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
        if self.captures.is_empty() || self.legacy_of(context) != stream {
            return Ok(Vec::new());
        }
        Ok(self.captures_of(context, Stream::is_blocking))
    }

    /// Refuses work on the legacy default stream while a stream that waits for it captures.
    pub fn legacy_in_capture(&mut self, stream: u64) -> Result<(), Code> {
        let captures = self.implicit(stream)?;
        if captures.is_empty() {
            return Ok(());
        }
        Err(self.lost("work on the legacy default stream", &captures, STREAM_CAPTURE_IMPLICIT))
    }

    /// Refuses a call that the thread's mode forbids while there are captures: one that is
    /// potentially unsafe by the table.
    pub fn unsafe_in_capture(&mut self, call: &'static str) -> Result<(), Code> {
        if self.captures.is_empty() || !modes::is_unsafe(call) {
            return Ok(());
        }
        let (mode, thread) = (MODE.get(), thread_number());
        let forbids = |capture: &Capture| match mode {
            RELAXED => false,
            THREAD_LOCAL => capture.thread == thread && capture.mode != RELAXED,
            _ if capture.thread == thread => capture.mode != RELAXED,
            _ => capture.mode == GLOBAL,
        };
        let forbidding = self.captures.iter().filter(|(_, capture)| forbids(capture));
        let captures: Vec<_> = forbidding.map(|(handle, _)| *handle).collect();
        if captures.is_empty() {
            return Ok(());
        }
        Err(self.lost(call, &captures, STREAM_CAPTURE_UNSUPPORTED))
    }
}
