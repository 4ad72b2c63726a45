//! The random numbers of `numpy.random.default_rng(seed)`: PCG64 seeded through a SeedSequence.
//!
//! PCG64 is the XSL-RR output function over a 128-bit linear congruential generator (O'Neill, 2014). A SeedSequence
//! spreads the seed over a pool of four 32-bit words by multiply-and-shift hashing (O'Neill, "Developing a seed_seq
//! alternative", 2015) and draws the state and the increment from it. Both are small and fixed for ever by the arrays that
//! were made with them, so they stand here rather than in a dependency.

use crate::nd::dtype::Dtype;

/// A stream of random 64-bit numbers.
#[derive(Clone, Debug)]
pub struct Pcg64 {
    state: u128,
    increment: u128,
    /// The upper half of a number whose lower half was used.
    half: Option<u32>,
}

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

impl Pcg64 {
    /// The stream of `numpy.random.default_rng(seed)`.
    pub fn seeded(seed: u64) -> Pcg64 {
        let [a, b, c, d] = SeedSequence::new(seed).words();
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut random = Pcg64 { state: 0, increment: wide(c, d) << 1 | 1, half: None };
        random.step();
        random.state = random.state.wrapping_add(wide(a, b));
        random.step();
        random
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.step();
        // the halves are xored and rotated by the top six bits: `as` takes the low half on purpose
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// 32 random bits: the lower half of a number, then its upper half.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let both = self.next_u64();
        self.half = Some((both >> 32) as u32);
        both as u32 // the lower half
    }

    /// A float from 0 to below 1, a multiple of 2^-53.
    #[inline]
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0) // 53 bits, exact
    }
}

struct SeedSequence {
    pool: [u32; 4],
}

impl SeedSequence {
    fn new(seed: u64) -> SeedSequence {
        let mut constant = 0x43b0_d7e5u32;
        let mut hash = |value: u32| {
            let value = value ^ constant;
            constant = constant.wrapping_mul(0x931e_8875);
            let value = value.wrapping_mul(constant);
            value ^ value >> 16
        };
        let mix = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
            mixed ^ mixed >> 16
        };
        // the seed as 32-bit words, low first; the pool is filled up with zeros
        let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hash);
        for from in 0..4 {
            for to in (0..4).filter(|&to| to != from) {
                pool[to] = mix(pool[to], hash(pool[from]));
            }
        }
        SeedSequence { pool }
    }

    /// Four 64-bit words drawn from the pool.
    fn words(&self) -> [u64; 4] {
        let mut constant = 0x8b51_f9ddu32;
        let mut halves = self.pool.iter().cycle().map(|&value| {
            let value = value ^ constant;
            constant = constant.wrapping_mul(0x58f3_8ded);
            let value = value.wrapping_mul(constant);
            u64::from(value ^ value >> 16)
        });
        let mut half = || halves.next().unwrap_or(0); // a cycle of four does not end
        std::array::from_fn(|_| half() | half() << 32)
    }
}

/// Random integers of one dtype within bounds, drawn as NumPy draws them for that dtype (Lemire, "Fast random integer
/// generation in an interval", 2019): from as few random bits as the dtype needs.
#[derive(Clone, Debug)]
pub struct Bounded {
    random: Pcg64,
    low: u64,
    /// Greatest value less least value.
    range: u64,
    /// Bits of one number of the dtype; 1 for bool.
    bits: u32,
    /// Bits of a 32-bit number that narrow dtypes have not used yet, and for how many numbers they last.
    buffer: u32,
    buffered: u32,
}

impl Bounded {
    /// Integers from `low` to `last`, which the dtype holds.
    pub fn new(seed: u64, dtype: Dtype, low: i128, last: i128) -> Bounded {
        let bits = if dtype == Dtype::Bool { 1 } else { 8 * dtype.itemsize() as u32 }; // at most 64
                                                                                       // both fit 64 bits, as the dtype holds the bounds; a negative least value keeps its bits
        let (low, range) = (low as u64, (last - low) as u64);
        Bounded { random: Pcg64::seeded(seed), low, range, bits, buffer: 0, buffered: 0 }
    }

    /// The next integer; the bits of an int64 where the dtype is signed.
    #[inline]
    pub fn next(&mut self) -> u64 {
        if self.range == 0 {
            return self.low;
        }
        let above = match self.bits {
            1 | 8 | 16 => self.narrow(),
            _ => within(&mut self.random, self.range),
        };
        self.low.wrapping_add(above)
    }

    /// The next `bits` bits of a 32-bit number.
    fn buffered(&mut self) -> u32 {
        if self.buffered == 0 {
            self.buffer = self.random.next_u32();
            self.buffered = 32 / self.bits;
        } else {
            self.buffer >>= self.bits;
        }
        self.buffered -= 1;
        self.buffer & ((1 << self.bits) - 1)
    }

    fn narrow(&mut self) -> u64 {
        let (bits, mask) = (self.bits, (1u32 << self.bits) - 1);
        let range = self.range as u32; // at most 16 bits
        if range == mask {
            return self.buffered().into();
        }
        let outcomes = range + 1;
        let mut product = self.buffered() * outcomes;
        if product & mask < outcomes {
            let threshold = (mask - range) % outcomes;
            while product & mask < threshold {
                product = self.buffered() * outcomes;
            }
        }
        (product >> bits).into()
    }
}

/// A random number from 0 to `range`, drawn as NumPy draws 64-bit ones: from 32 bits where they are enough.
#[inline]
pub fn within(random: &mut Pcg64, range: u64) -> u64 {
    match range {
        0 => 0,
        _ if range <= u64::from(u32::MAX) => within_u32(random, range),
        _ => within_u64(random, range),
    }
}

fn within_u32(random: &mut Pcg64, range: u64) -> u64 {
    if range == u64::from(u32::MAX) {
        return random.next_u32().into();
    }
    let outcomes = range + 1;
    let low = |product: u64| product & 0xffff_ffff;
    let mut product = u64::from(random.next_u32()) * outcomes;
    if low(product) < outcomes {
        let threshold = (u64::from(u32::MAX) - range) % outcomes;
        while low(product) < threshold {
            product = u64::from(random.next_u32()) * outcomes;
        }
    }
    product >> 32
}

fn within_u64(random: &mut Pcg64, range: u64) -> u64 {
    if range == u64::MAX {
        return random.next_u64();
    }
    let outcomes = range + 1;
    let mut product = u128::from(random.next_u64()) * u128::from(outcomes);
    // `as` takes the low and the high half
    if (product as u64) < outcomes {
        let threshold = (u64::MAX - range) % outcomes;
        while (product as u64) < threshold {
            product = u128::from(random.next_u64()) * u128::from(outcomes);
        }
    }
    (product >> 64) as u64
}
