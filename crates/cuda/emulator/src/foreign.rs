//! Work of other libraries, which ndbridge does not see and its tests stand for.

use crate::code::{Code, INVALID_HANDLE, INVALID_VALUE, MISALIGNED_ADDRESS};
use crate::machine::{Machine, with};
use crate::violation::Violation;
use crate::work::Work;

/// A kernel of another library that reads `len_bytes` at `addr` in elements of `item_bytes`, on a
/// stream of any handle: what a consumer does with memory that was handed to it. Needs no current
/// context. Its code: 716 where the elements are not aligned, which ends the context.
pub fn foreign_read(stream: usize, addr: usize, len_bytes: usize, item_bytes: usize) -> Code {
    let work = Work::Read { addr: addr as u64, len: len_bytes as u64 };
    with(|machine| machine.foreign(stream as u64, work, item_bytes as u64)).err().unwrap_or(0)
}

/// As [`foreign_read`], and fills the memory with a byte.
pub fn foreign_write(
    stream: usize,
    addr: usize,
    len_bytes: usize,
    item_bytes: usize,
    value: u8,
) -> Code {
    let work = Work::Write { addr: addr as u64, len: len_bytes as u64, value };
    with(|machine| machine.foreign(stream as u64, work, item_bytes as u64)).err().unwrap_or(0)
}

impl Machine {
    fn foreign(&mut self, stream: u64, work: Work, item_bytes: u64) -> Result<(), Code> {
        let (Work::Read { addr, len } | Work::Write { addr, len, .. }) = work else {
            return Err(INVALID_VALUE);
        };
        if len == 0 {
            return Ok(());
        }
        let (_, block) = self.memory.block(addr).ok_or(INVALID_VALUE)?;
        let on_device = |context: &crate::machine::Context| context.device == block.device;
        let context = match self.streams.get(&stream) {
            Some(stream) => self.contexts.iter().position(|c| c.handle == stream.context),
            None => self.contexts.iter().position(|c| c.retained > 0 && on_device(c)),
        };
        let context = context.ok_or(INVALID_HANDLE)?;
        if let Some(code) = self.contexts[context].sticky {
            return Err(code);
        }
        let stream = self.stream(stream, context)?;
        if item_bytes == 0 || !addr.is_multiple_of(item_bytes) {
            let by = "a kernel of another library".to_owned();
            self.violations.push(Violation::Misaligned { by, addr, item_bytes });
            let context = self.contexts[context].handle;
            self.break_context(context, MISALIGNED_ADDRESS);
            return Err(MISALIGNED_ADDRESS);
        }
        self.submit(stream, "a kernel of another library", work).map(drop)
    }
}
