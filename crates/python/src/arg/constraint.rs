//! What else an argument's memory must be.

use std::fmt;

use ndbridge_tensor::{Order, Outside};

use super::sealed;

/// What an array is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    is_c: bool,
    is_f: bool,
    address: usize,
    is_empty: bool,
}

impl Memory {
    pub(super) fn of(outside: &Outside) -> Self {
        Self {
            is_c: outside.is_contiguous(Order::C),
            is_f: outside.is_contiguous(Order::F),
            address: outside.ptr.addr(),
            is_empty: outside.is_empty(),
        }
    }

    /// That of elements in C order without gaps.
    #[inline]
    pub(super) fn contiguous(ptr: *mut u8, shape: &[usize]) -> Self {
        let long_axes = shape.iter().filter(|&&len| len != 1).count();
        let (address, is_empty) = (ptr.addr(), shape.contains(&0));
        Self { is_c: true, is_f: long_axes <= 1 || is_empty, address, is_empty }
    }

    /// Whether the elements lie in `order` without gaps.
    #[must_use]
    pub fn is_contiguous(self, order: Order) -> bool {
        match order {
            Order::C => self.is_c,
            Order::F => self.is_f,
        }
    }

    /// Whether the first element lies at a multiple of `bytes`; true if there is none.
    #[must_use]
    pub fn is_aligned_to(self, bytes: usize) -> bool {
        self.is_empty || self.address.is_multiple_of(bytes)
    }
}

/// A demand on the memory of an argument: [`COrder`], [`FOrder`], [`Contiguous`], [`Aligned`], `()`
/// for none, or a tuple of such.
///
/// These are all: the unsafe code behind an argument relies on what they accept.
///
/// ```no_run
/// use ndbridge_python::{Aligned, COrder, Constraint};
///
/// assert_eq!(<(COrder, Aligned<64>)>::ALIGN_BYTES, 64);
/// ```
///
/// ```compile_fail,E0277
/// use ndbridge_python::{Constraint, Memory};
///
/// struct Mine;
///
/// impl Constraint for Mine {
///     fn accepts(_memory: Memory) -> bool {
///         true
///     }
///
///     fn name(f: &mut dyn std::fmt::Write) -> std::fmt::Result {
///         f.write_str(", mine")
///     }
/// }
/// ```
pub trait Constraint: sealed::Constraint + 'static {
    /// Memory order that would do, if the demand is for one.
    const ORDER: Option<Order> = None;
    /// Alignment that would do, in bytes.
    const ALIGN_BYTES: usize = 1;

    /// Whether the memory will do.
    fn accepts(memory: Memory) -> bool;

    /// Writes the demand as an error names it, after a comma.
    ///
    /// # Errors
    /// Those of the writer.
    fn name(f: &mut dyn fmt::Write) -> fmt::Result;
}

/// C order without gaps: the last axis varies fastest.
#[derive(Debug)]
pub struct COrder;

/// Fortran order without gaps: the first axis varies fastest.
#[derive(Debug)]
pub struct FOrder;

/// C or Fortran order without gaps.
#[derive(Debug)]
pub struct Contiguous;

/// An address that is a multiple of `BYTES`.
#[derive(Debug)]
pub struct Aligned<const BYTES: usize>;

impl sealed::Constraint for COrder {}

impl Constraint for COrder {
    const ORDER: Option<Order> = Some(Order::C);

    fn accepts(memory: Memory) -> bool {
        memory.is_contiguous(Order::C)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(", C order")
    }
}

impl sealed::Constraint for FOrder {}

impl Constraint for FOrder {
    const ORDER: Option<Order> = Some(Order::F);

    fn accepts(memory: Memory) -> bool {
        memory.is_contiguous(Order::F)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(", Fortran order")
    }
}

impl sealed::Constraint for Contiguous {}

impl Constraint for Contiguous {
    const ORDER: Option<Order> = Some(Order::C);

    fn accepts(memory: Memory) -> bool {
        memory.is_contiguous(Order::C) || memory.is_contiguous(Order::F)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(", contiguous")
    }
}

impl<const BYTES: usize> sealed::Constraint for Aligned<BYTES> {}

impl<const BYTES: usize> Constraint for Aligned<BYTES> {
    const ALIGN_BYTES: usize = BYTES;

    fn accepts(memory: Memory) -> bool {
        const { assert!(BYTES.is_power_of_two(), "alignments are powers of two") };
        memory.is_aligned_to(BYTES)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, ", aligned to {BYTES} B")
    }
}

impl sealed::Constraint for () {}

impl Constraint for () {
    #[inline]
    fn accepts(_memory: Memory) -> bool {
        true
    }

    fn name(_f: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }
}

impl<A: Constraint, B: Constraint> sealed::Constraint for (A, B) {}

impl<A: Constraint, B: Constraint> Constraint for (A, B) {
    const ORDER: Option<Order> = match A::ORDER {
        Some(order) => Some(order),
        None => B::ORDER,
    };
    const ALIGN_BYTES: usize =
        if A::ALIGN_BYTES > B::ALIGN_BYTES { A::ALIGN_BYTES } else { B::ALIGN_BYTES };

    fn accepts(memory: Memory) -> bool {
        A::accepts(memory) && B::accepts(memory)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        A::name(f)?;
        B::name(f)
    }
}
