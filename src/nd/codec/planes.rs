//! Blocks of elements taken apart into planes of bytes, and put together again: what both shuffles are made of.
//!
//! Wide integers are halved, the halves halved, down to bytes: three steps for 64 bits, each a loop over arrays of a known
//! length, which compilers turn into vector code for any processor. Callers are compiled once for each width of vectors,
//! with everything here inlined.

/// Elements of one block: at most 8 KiB of them, so that a block and its planes stay in the first cache.
pub const BLOCK: usize = 512;

/// An element of `S` bytes as an integer, which can be taken apart.
pub trait Word<const S: usize>: Copy + Default {
    /// The bytes of each integer, lowest first.
    fn split<const N: usize>(items: &[Self; N], planes: &mut [[u8; N]; S]);
    /// The integers of these bytes.
    fn join<const N: usize>(planes: &[[u8; N]; S], items: &mut [Self; N]);
    /// From little-endian bytes.
    fn from_bytes(bytes: [u8; S]) -> Self;
    /// To little-endian bytes.
    fn to_bytes(self) -> [u8; S];
}

macro_rules! words {
    ($($word:ty, $size:literal, $half:ty, $half_size:literal;)*) => {$(
        impl Word<$size> for $word {
            #[inline(always)]
            fn split<const N: usize>(items: &[Self; N], planes: &mut [[u8; N]; $size]) {
                let (mut low, mut high) = ([0; N], [0; N]);
                for i in 0..N {
                    low[i] = items[i] as $half; // the low half is what is wanted
                    high[i] = (items[i] >> <$half>::BITS) as $half;
                }
                let [first, second] = halves_mut::<$size, $half_size, N>(planes);
                <$half>::split(&low, first);
                <$half>::split(&high, second);
            }

            #[inline(always)]
            fn join<const N: usize>(planes: &[[u8; N]; $size], items: &mut [Self; N]) {
                let (mut low, mut high) = ([0; N], [0; N]);
                let [first, second] = halves::<$size, $half_size, N>(planes);
                <$half>::join(first, &mut low);
                <$half>::join(second, &mut high);
                for i in 0..N {
                    items[i] = <$word>::from(low[i]) | <$word>::from(high[i]) << <$half>::BITS;
                }
            }

            #[inline(always)]
            fn from_bytes(bytes: [u8; $size]) -> Self {
                <$word>::from_le_bytes(bytes)
            }

            #[inline(always)]
            fn to_bytes(self) -> [u8; $size] {
                self.to_le_bytes()
            }
        }
    )*};
}

words! {
    u16, 2, u8, 1;
    u32, 4, u16, 2;
    u64, 8, u32, 4;
    u128, 16, u64, 8;
}

impl Word<1> for u8 {
    #[inline(always)]
    fn split<const N: usize>(items: &[u8; N], planes: &mut [[u8; N]; 1]) {
        planes[0] = *items;
    }

    #[inline(always)]
    fn join<const N: usize>(planes: &[[u8; N]; 1], items: &mut [u8; N]) {
        *items = planes[0];
    }

    #[inline(always)]
    fn from_bytes(bytes: [u8; 1]) -> u8 {
        bytes[0]
    }

    #[inline(always)]
    fn to_bytes(self) -> [u8; 1] {
        [self]
    }
}

#[inline(always)]
fn halves<const S: usize, const H: usize, const N: usize>(planes: &[[u8; N]; S]) -> [&[[u8; N]; H]; 2] {
    const { assert!(S == 2 * H) };
    let (halves, _) = planes.as_chunks::<H>();
    [&halves[0], &halves[1]]
}

#[inline(always)]
fn halves_mut<const S: usize, const H: usize, const N: usize>(planes: &mut [[u8; N]; S]) -> [&mut [[u8; N]; H]; 2] {
    const { assert!(S == 2 * H) };
    let (first, second) = planes.split_at_mut(H);
    [&mut first.as_chunks_mut::<H>().0[0], &mut second.as_chunks_mut::<H>().0[0]]
}

/// The first elements of a block as integers; zeros where there are fewer.
#[inline(always)]
pub fn load<W: Word<S>, const S: usize>(items: &[[u8; S]]) -> [W; BLOCK] {
    let mut words = [W::default(); BLOCK];
    match <&[[u8; S]; BLOCK]>::try_from(items) {
        Ok(items) => (0..BLOCK).for_each(|i| words[i] = W::from_bytes(items[i])),
        Err(_) => words.iter_mut().zip(items).for_each(|(w, i)| *w = W::from_bytes(*i)),
    }
    words
}

/// Writes as many of a block's elements as `items` has room for.
#[inline(always)]
pub fn store<W: Word<S>, const S: usize>(words: &[W; BLOCK], items: &mut [[u8; S]]) {
    match <&mut [[u8; S]; BLOCK]>::try_from(&mut *items) {
        Ok(items) => (0..BLOCK).for_each(|i| items[i] = words[i].to_bytes()),
        Err(_) => items.iter_mut().zip(words).for_each(|(i, w)| *i = w.to_bytes()),
    }
}

/// Eight words from 64 bytes; zeros where there are fewer.
#[inline(always)]
pub fn row(bytes: &[u8]) -> [u64; 8] {
    let mut padded = [0; 64];
    let bytes = <&[u8; 64]>::try_from(bytes).unwrap_or_else(|_| {
        padded[..bytes.len()].copy_from_slice(bytes);
        &padded
    });
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// The 64 bytes of eight words.
#[inline(always)]
pub fn unrow(words: &[u64; 8]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(b, w)| *b = w.to_le_bytes());
    bytes
}

/// Bit `k` of eight bytes, taken from eight rows, becomes row `k`: squares of 8 x 8 bits turned over, 64 of them at once.
/// Twice is nothing.
#[inline(always)]
pub fn turn(rows: &mut [[u64; 8]; 8]) {
    #[allow(clippy::needless_range_loop)] // two rows of one array at once
    #[inline(always)]
    fn swap(rows: &mut [[u64; 8]; 8], a: usize, b: usize, shift: u32, mask: u64) {
        for lane in 0..8 {
            let t = ((rows[a][lane] >> shift) ^ rows[b][lane]) & mask;
            rows[b][lane] ^= t;
            rows[a][lane] ^= t << shift;
        }
    }
    for (a, b) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
        swap(rows, a, b, 4, 0x0f0f_0f0f_0f0f_0f0f);
    }
    for (a, b) in [(0, 2), (1, 3), (4, 6), (5, 7)] {
        swap(rows, a, b, 2, 0x3333_3333_3333_3333);
    }
    for (a, b) in [(0, 1), (2, 3), (4, 5), (6, 7)] {
        swap(rows, a, b, 1, 0x5555_5555_5555_5555);
    }
}
