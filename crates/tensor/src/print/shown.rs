//! Which elements a text shows: of many, a few at each end of an axis.

use ndbridge_layout::saturating_len;

const THRESHOLD: usize = 1000;
pub(super) const EDGE_ITEMS: usize = 3;

/// The positions along an axis that are shown.
pub(super) fn shown(len: usize, is_elided: bool) -> impl Iterator<Item = usize> {
    shown_parts(len, is_elided).flat_map(|(start, len)| start..start + len)
}

/// The parts of an axis that are shown, as first position and length.
pub(super) fn shown_parts(len: usize, is_elided: bool) -> impl Iterator<Item = (usize, usize)> {
    let parts = match is_gapped(len, is_elided) {
        true => [Some((0, EDGE_ITEMS)), Some((len - EDGE_ITEMS, EDGE_ITEMS))],
        false => [Some((0, len)), None],
    };
    parts.into_iter().flatten()
}

/// Whether the middle of long axes is left out.
pub(super) fn is_elided(shape: &[usize]) -> bool {
    saturating_len(shape) > THRESHOLD
}

/// Whether `...` stands for the middle of an axis.
pub(super) fn is_gapped(len: usize, is_elided: bool) -> bool {
    is_elided && len > 2 * EDGE_ITEMS
}
