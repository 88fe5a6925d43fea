//! Sliding windows.

use crate::error::LayoutError;
use crate::layout::{Layout, normalize_axis};
use crate::shape::Shape;
use crate::view::View;

impl Layout {
    /// All windows of the given lengths over `axes` (over all axes in order if `None`): the
    /// windowed axes shrink to the number of positions, the windows are appended as last axes
    /// (`np.lib.stride_tricks.sliding_window_view`). An axis may be windowed more than once.
    ///
    /// ```
    /// use ndbridge_layout::{Layout, Order};
    /// let signal = Layout::contiguous(&[10], 4, Order::C)?;
    /// let windows = signal.sliding_windows(&[3], None)?;
    /// assert_eq!((windows.shape(), windows.strides()), (&[8, 3][..], &[4, 4][..]));
    /// # Ok::<(), ndbridge_layout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// No such axis, a window longer than its axis, or another number of windows than axes.
    pub fn sliding_windows(
        &self,
        window: &[usize],
        axes: Option<&[isize]>,
    ) -> Result<Self, LayoutError> {
        let axes = self.windowed_axes(axes)?;
        if axes.len() != window.len() {
            return Err(LayoutError::WindowCount { expected: axes.len(), found: window.len() });
        }
        let mut view = View::whole(self);
        let mut positions = self.shape.clone();
        for (&axis, &window) in axes.iter().zip(window) {
            positions[axis] = count_positions(axis, positions[axis], window)?;
            view.replace(axis, positions[axis], self.strides[axis]);
            view.push(window, self.strides[axis]);
        }
        view.finish()
    }

    fn windowed_axes(&self, axes: Option<&[isize]>) -> Result<Shape, LayoutError> {
        match axes {
            None => Ok((0..self.ndim()).collect()),
            Some(axes) => axes.iter().map(|&axis| normalize_axis(axis, self.ndim())).collect(),
        }
    }
}

fn count_positions(axis: usize, len: usize, window: usize) -> Result<usize, LayoutError> {
    // Lengths fit isize, so `len + 1`, for an empty window, fits usize.
    (len + 1).checked_sub(window).filter(|_| window <= len).ok_or(LayoutError::WindowTooLong {
        axis,
        len,
        window,
    })
}
