//! Normally distributed random numbers by NumPy's ziggurat (Marsaglia and Tsang, 2000): 256 layers of equal area, and a
//! tail beyond [`TAIL`].
//!
//! A number is 52 random bits times the width of its layer, so those widths decide every bit of the result: they are
//! NumPy's, in the table [`WIDTHS`]. What only decides whether a number is taken (once in 10^13 numbers a last bit of
//! it would matter) is computed from them. `exp` and `log1p` are those of a pure-Rust libm: the same on every machine.
//! In the tail, about one number in 4,000, NumPy uses the log1p of its platform, which may differ in the last bit (none did in
//! 10 million numbers beside NumPy 2.4 on Linux).

use std::sync::LazyLock;

use super::random::Pcg64;
use super::widths::WIDTHS;

/// Where the tail begins.
const TAIL: f64 = 3.654_152_885_361_009;
const TWO_TO_52: f64 = 4_503_599_627_370_496.0;

struct Layers {
    /// A layer's width over 2^52.
    width: [f64; 256],
    /// Numbers below this lie under the curve whatever their height.
    inside: [u64; 256],
    /// The curve's height at the layer's edge.
    height: [f64; 256],
}

static LAYERS: LazyLock<Layers> = LazyLock::new(|| {
    let width = WIDTHS.map(f64::from_bits);
    let edge = |i: usize| width[i] * TWO_TO_52;
    let part = |inner: f64, outer: f64| (inner / outer * TWO_TO_52) as u64; // below 2^52
    Layers {
        width,
        inside: std::array::from_fn(|i| match i {
            0 => part(TAIL, edge(0)), // the lowest layer is as wide as if its tail were folded in
            1 => 0,                   // the top layer has nothing above it
            _ => part(edge(i - 1), edge(i)),
        }),
        height: std::array::from_fn(|i| if i == 0 { 1.0 } else { libm::exp(-0.5 * edge(i) * edge(i)) }),
    }
});

/// One number of mean 0 and standard deviation 1.
pub fn standard(random: &mut Pcg64) -> f64 {
    let layers = &*LAYERS;
    loop {
        let bits = random.next_u64();
        let layer = (bits & 0xff) as usize;
        let is_negative = bits >> 8 & 1 == 1;
        let distance = bits >> 9 & 0x000f_ffff_ffff_ffff;
        let x = distance as f64 * layers.width[layer]; // 52 bits, exact
        let x = if is_negative { -x } else { x };
        if distance < layers.inside[layer] {
            return x;
        }
        if layer == 0 {
            return tail(random, distance);
        }
        let (below, above) = (layers.height[layer], layers.height[layer - 1]);
        if (above - below) * random.next_f64() + below < libm::exp(-0.5 * x * x) {
            return x;
        }
    }
}

fn tail(random: &mut Pcg64, distance: u64) -> f64 {
    loop {
        let x = -(1.0 / TAIL) * libm::log1p(-random.next_f64());
        let y = -libm::log1p(-random.next_f64());
        if y + y > x * x {
            return if distance >> 8 & 1 == 1 { -(TAIL + x) } else { TAIL + x };
        }
    }
}
