//! Events.

use super::clock::{Clock, merge};
use crate::code::{CAPTURED_EVENT, Code, INVALID_HANDLE, NOT_READY};
use crate::machine::Machine;
use crate::work::Work;

#[derive(Default, Clone)]
pub struct Event {
    context: u64,
    has_timing: bool,
    /// How often it was recorded.
    version: u64,
    /// The operation that last recorded it.
    at: Option<(u64, u64)>,
    clock: Clock,
    /// Version and tick of its last happening.
    pub happened: Option<(u64, u64)>,
    /// The capture it was last recorded in.
    captured: Option<u64>,
}

impl Event {
    pub fn new(context: u64, has_timing: bool) -> Event {
        Event { context, has_timing, ..Event::default() }
    }

    fn has_happened(&self) -> bool {
        self.happened.is_some_and(|(version, _)| version == self.version)
    }
}

impl Machine {
    /// Forgets the events of a context.
    pub fn forget_events(&mut self, context: u64) {
        self.events.retain(|_, event| event.context != context);
    }

    pub fn event(&self, event: u64) -> Result<&Event, Code> {
        self.events.get(&event).ok_or(INVALID_HANDLE)
    }

    fn event_mut(&mut self, event: u64) -> Result<&mut Event, Code> {
        self.events.get_mut(&event).ok_or(INVALID_HANDLE)
    }

    pub fn record(&mut self, event: u64, stream: u64) -> Result<(), Code> {
        if self.event(event)?.context != self.streams[&stream].context {
            return Err(INVALID_HANDLE);
        }
        if let Some(capture) = self.streams[&stream].capture {
            self.captured(capture, "cuEventRecord", Work::Nothing)?;
            self.event_mut(event)?.captured = Some(capture);
            return Ok(());
        }
        self.unsafe_in_capture("cuEventRecord")?;
        let version = self.event(event)?.version + 1;
        // Entered first: an eager machine runs the work at once.
        let changed = self.event_mut(event)?;
        (changed.version, changed.captured) = (version, None);
        let stamp = self.submit(stream, "cuEventRecord", Work::Event { event, version })?;
        if let Some(stamp) = stamp {
            let changed = self.event_mut(event)?;
            (changed.at, changed.clock) = (Some(stamp.id), (*stamp.clock).clone());
        }
        Ok(())
    }

    pub fn wait_event(&mut self, stream: u64, event: u64) -> Result<(), Code> {
        let event = self.event(event)?.clone();
        match (self.streams[&stream].capture, event.captured) {
            (_, Some(capture)) => return self.fork(stream, capture),
            (Some(capture), None) if event.at.is_some() => return self.isolated(capture),
            (Some(_), None) => return Ok(()),
            (None, None) => {}
        }
        let Some(at) = event.at else { return Ok(()) };
        let after = if self.streams.contains_key(&at.0) { vec![at] } else { Vec::new() };
        self.submit_after(stream, "cuStreamWaitEvent", after, &event.clock, Work::Nothing).map(drop)
    }

    pub fn query_event(&mut self, event: u64) -> Result<(), Code> {
        let event = self.usable("cuEventQuery", event)?;
        let Some(at) = event.at else { return Ok(()) };
        if self.streams.contains_key(&at.0) && !event.has_happened() {
            self.step(at.0)?;
            return Err(NOT_READY);
        }
        self.join_event(at, &event.clock)
    }

    pub fn synchronize_event(&mut self, event: u64) -> Result<(), Code> {
        let event = self.usable("cuEventSynchronize", event)?;
        let Some(at) = event.at else { return Ok(()) };
        self.join_event(at, &event.clock)
    }

    /// The event, unless a capture forbids to look at it.
    fn usable(&mut self, call: &'static str, event: u64) -> Result<Event, Code> {
        let event = self.event(event)?.clone();
        if let Some(capture) = event.captured {
            return Err(self.lost(call, &[capture], CAPTURED_EVENT));
        }
        self.unsafe_in_capture(call)?;
        Ok(event)
    }

    fn join_event(&mut self, at: (u64, u64), clock: &Clock) -> Result<(), Code> {
        self.join(at.0, at.1)?;
        merge(&mut self.host_clock, clock);
        self.settle();
        Ok(())
    }

    /// Milliseconds between two events: a microsecond for each event that happened.
    pub fn elapsed(&self, start: u64, end: u64) -> Result<f32, Code> {
        let (start, end) = (self.event(start)?, self.event(end)?);
        let is_usable = |event: &Event| event.has_timing && event.version > 0;
        if !is_usable(start) || !is_usable(end) {
            return Err(INVALID_HANDLE);
        }
        match (start.happened, end.happened) {
            (Some(from), Some(to)) if start.has_happened() && end.has_happened() => {
                Ok((to.1 as f32 - from.1 as f32) * 1e-3)
            }
            _ => Err(NOT_READY),
        }
    }
}
