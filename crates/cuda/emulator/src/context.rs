//! Primary contexts and the peers they may reach.

use crate::code::{
    Code, INVALID_CONTEXT, INVALID_DEVICE, PEER_ACCESS_ALREADY_ENABLED, PEER_ACCESS_NOT_ENABLED,
    STREAM_CAPTURE_UNSUPPORTED,
};
use crate::machine::{Context, Machine};
use crate::violation::Violation;

impl Machine {
    pub fn retain(&mut self, device: usize) -> u64 {
        let is_it = |context: &&mut Context| context.device == device && context.retained > 0;
        if let Some(context) = self.contexts.iter_mut().find(is_it) {
            context.retained += 1;
            return context.handle;
        }
        let handle = self.handle();
        self.contexts.push(Context { device, retained: 1, handle, sticky: None, legacy: 0 });
        let index = self.contexts.len() - 1;
        self.contexts[index].legacy = self.new_stream(index, 0, 0);
        handle
    }

    pub fn release(&mut self, device: usize) -> Result<(), Code> {
        let is_it = |context: &&mut Context| context.device == device && context.retained > 0;
        let context = self.contexts.iter_mut().find(is_it).ok_or(INVALID_CONTEXT)?;
        context.retained -= 1;
        if context.retained > 0 {
            return Ok(());
        }
        let handle = context.handle;
        let live = self.memory.live().filter(|(_, block)| block.device == device);
        let live: Vec<_> = live.map(|(addr, block)| (addr, block.len)).collect();
        for (addr, len) in live {
            self.violations.push(Violation::Leak { addr, len });
            self.memory.begin_free(addr)?;
            self.memory.end(addr, None, &mut self.violations);
        }
        self.streams.retain(|_, stream| stream.context != handle);
        self.thread_streams.retain(|(context, _), _| *context != handle);
        self.forget_events(handle);
        Ok(())
    }

    pub fn is_context(&self, handle: u64) -> bool {
        self.contexts.iter().any(|context| context.handle == handle)
    }

    pub fn synchronize_context(&mut self, context: usize) -> Result<(), Code> {
        let handle = self.contexts[context].handle;
        let captures = self.captures_of(handle, |_| true);
        if !captures.is_empty() {
            return Err(self.lost("cuCtxSynchronize", &captures, STREAM_CAPTURE_UNSUPPORTED));
        }
        self.join_context(handle)
    }

    fn peers(&self, context: usize, peer: u64) -> Result<(usize, usize), Code> {
        let peer = self.contexts.iter().find(|other| other.handle == peer && other.retained > 0);
        let pair = (self.contexts[context].device, peer.ok_or(INVALID_CONTEXT)?.device);
        if pair.0 == pair.1 { Err(INVALID_DEVICE) } else { Ok(pair) }
    }

    pub fn enable_peer(&mut self, context: usize, peer: u64) -> Result<(), Code> {
        let pair = self.peers(context, peer)?;
        if self.memory.peers.insert(pair) { Ok(()) } else { Err(PEER_ACCESS_ALREADY_ENABLED) }
    }

    pub fn disable_peer(&mut self, context: usize, peer: u64) -> Result<(), Code> {
        let pair = self.peers(context, peer)?;
        if self.memory.peers.remove(&pair) { Ok(()) } else { Err(PEER_ACCESS_NOT_ENABLED) }
    }
}
