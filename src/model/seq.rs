//! The core's own clock.

/// The number of an event in the core: the delivery of a key or of a mark, or the start of a range.
/// Every such event takes the next number, so "before" and "after" are comparisons of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    pub const FIRST: Seq = Seq(1);

    /// Takes the current number and moves the clock on.
    pub fn take(&mut self) -> Seq {
        let now = *self;
        self.0 += 1;
        now
    }
}
