//! Random programs on four streams: a race is reported exactly where a slow model finds one.

use std::collections::BTreeSet;

use ndbridge_cuda_emulator::{Violation, drain, violations};

use crate::harness::*;

/// A number below `end`, from a generator that needs no seed of the machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

/// What happens before what, written out: for each operation all that are before it.
#[derive(Default)]
struct Model {
    before: Vec<BTreeSet<usize>>,
    /// The last operation of each stream.
    last: [Option<usize>; 4],
    known_to_host: BTreeSet<usize>,
    /// Operation and bytes.
    fills: Vec<(usize, std::ops::Range<usize>)>,
}

const LEGACY: usize = 0;
/// Streams 1 and 2 and the legacy default stream wait for each other.
const NON_BLOCKING: usize = 3;

impl Model {
    fn add(&mut self, stream: usize, after: Option<usize>) -> usize {
        let implied: &[usize] = match stream {
            LEGACY => &[1, 2],
            NON_BLOCKING => &[],
            _ => &[LEGACY],
        };
        let direct = implied.iter().chain([&stream]).filter_map(|stream| self.last[*stream]);
        let direct: Vec<_> = direct.chain(after).collect();
        let mut before = self.known_to_host.clone();
        for operation in direct {
            before.extend(&self.before[operation]);
            before.insert(operation);
        }
        self.before.push(before);
        self.last[stream] = Some(self.before.len() - 1);
        self.before.len() - 1
    }

    fn host_waits(&mut self, operation: Option<usize>) {
        if let Some(operation) = operation {
            self.known_to_host.extend(&self.before[operation]);
            self.known_to_host.insert(operation);
        }
    }

    fn has_race(&self) -> bool {
        let meet = |a: &std::ops::Range<usize>, b: &std::ops::Range<usize>| {
            a.start.max(b.start) < a.end.min(b.end)
        };
        self.fills.iter().enumerate().any(|(index, (later, bytes))| {
            let mut earlier = self.fills[..index].iter();
            earlier.any(|(first, other)| meet(bytes, other) && !self.before[*later].contains(first))
        })
    }
}

#[test]
fn races_are_where_the_model_has_them() {
    let _setup = Setup::new();
    let streams = [0, stream(0), stream(0), stream(1)];
    let events = [event(), event()];
    let addr = alloc_filled(32, 0);
    let mut numbers = Numbers(7);
    let mut seen = [0; 2];
    for round in 0..600 {
        let mut model = Model::default();
        let mut recorded = [None; 2];
        let mut program = Vec::new();
        for _ in 0..3 + numbers.below(10) {
            let (at, which) = (numbers.below(4), numbers.below(2));
            let start = numbers.below(28);
            let (bytes, kind) = (start..start + 1 + numbers.below(4), numbers.below(8));
            program.push((kind, at, which, bytes.clone()));
            let code = match kind {
                0..=3 => {
                    let operation = model.add(at, None);
                    model.fills.push((operation, bytes.clone()));
                    fill(addr + bytes.start as u64, 1, bytes.len(), streams[at])
                }
                4 => {
                    recorded[which] = Some(model.add(at, None));
                    record(events[which], streams[at])
                }
                5 if recorded[which].is_some() => {
                    model.add(at, recorded[which]);
                    stream_waits(streams[at], events[which])
                }
                6 => {
                    model.host_waits(model.last[at]);
                    wait(streams[at])
                }
                7 if recorded[which].is_some() => {
                    model.host_waits(recorded[which]);
                    wait_event(events[which])
                }
                _ => 0,
            };
            assert_eq!(code, 0);
        }
        drain();
        let found = violations();
        let is_race = |violation: &Violation| matches!(violation, Violation::Race { .. });
        assert!(found.iter().all(is_race), "{found:#?}");
        let is_found = !found.is_empty();
        assert_eq!(is_found, model.has_race(), "round {round}: {program:?} {found:#?}");
        seen[usize::from(is_found)] += 1;
        assert_eq!(synchronize(), 0);
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?} programs without and with a race");
    assert_eq!(free(addr), 0);
}
