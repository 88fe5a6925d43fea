//! What happens before what: streams, events, vector clocks.

pub mod clock;
pub mod event;
pub mod stream;

/// When queued work runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// When something waits for it, or for work that waits for it. A wait that is missing shows.
    #[default]
    Lazy,
    /// At once. Races are reported all the same.
    Eager,
}
