//! A running float64 sum that keeps what its roundings lost (TwoSum: Knuth 1969; Ogita, Rump and Oishi 2005).

use bytemuck::{Pod, Zeroable};

/// A float64 sum and what its roundings lost.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Compensated {
    pub(super) sum: f64,
    pub(super) lost: f64,
}

/// `sum + x`, and `lost` plus what that addition rounds away.
#[inline(always)]
pub(super) fn two_sum(sum: f64, lost: f64, x: f64) -> (f64, f64) {
    let total = sum + x;
    let of_x = total - sum;
    (total, lost + ((sum - (total - of_x)) + (x - of_x)))
}

impl Compensated {
    /// Adds a number.
    #[inline(always)]
    pub fn add_number(&mut self, x: f64) {
        (self.sum, self.lost) = two_sum(self.sum, self.lost, x);
    }

    /// Adds another sum.
    #[inline(always)]
    pub fn merge(&mut self, other: &Compensated) {
        self.add_number(other.sum);
        self.lost += other.lost;
    }

    /// The sum; infinite or NaN where the plain sum is.
    pub fn value(self) -> f64 {
        let corrected = self.sum + self.lost;
        // what an infinite sum lost is NaN
        if corrected.is_finite() {
            corrected
        } else {
            self.sum
        }
    }
}
