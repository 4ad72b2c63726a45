//! `PROD`.
//!
//! **Integers** are multiplied modulo 2^64.
//!
//! **Floats** are multiplied as fractions from 1 to 2, in float64, and their powers of two are added apart: a product
//! overflows or vanishes only where the exact one does, whatever the order. Eight lanes multiply every eighth number of a
//! block of 1024, and halving multiplies the lanes. Each number costs one rounding, as in NumPy.
//!
//! **Complex** numbers are multiplied by the four products of their parts, each scaled by a power of two. Four lanes multiply every
//! fourth number of a block of 1024. Zeros, infinities, NaN and the very small are multiplied one after the other.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::kernel::{Columns, Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::Unaligned;

/// The product kernel of an element type.
pub struct Prod<T>(PhantomData<fn() -> T>);

/// Numbers of a run that are multiplied before the cell is touched; a lane's part of them stays below 2^128.
const BLOCK: usize = 1024;
/// Rows that are multiplied before the cells are touched: below 2^512.
const ROWS: usize = 512;
/// Lanes of a run, and columns of rows; of complex numbers.
const LANES: usize = 8;
const PAIRS: usize = 4;
/// Columns of which many blocks are multiplied before the next columns are.
const STRIP: usize = 1024;
/// A multiple of every block.
const PIECE: usize = 4096;

/// What an element's products are kept in.
pub(super) trait Factor: Element {
    type Cell: Pod + Send + Sync;
    type Out: Element;
    const ONE: Self::Cell;
    /// As [`Kernel::ONE_BLOCK`].
    const ONE_BLOCK: usize = 0;
    /// As [`Kernel::IS_EXACT`].
    const IS_EXACT: bool = false;
    fn add_run(cell: &mut Self::Cell, run: &[Unaligned<Self>]);
    /// Adds blocks of so many rows each; exact ones may take all rows as one.
    fn add_rows(cells: &mut [Self::Cell], rows: &[Unaligned<Self>], block: usize);
    fn multiply(cell: &mut Self::Cell, other: &Self::Cell);
    fn result(cell: &Self::Cell) -> Self::Out;
}

impl<T: Factor> Kernel for Prod<T> {
    type Elem = T;
    type Cell = T::Cell;
    type Out = T::Out;
    const EMPTY: T::Cell = T::ONE;
    const PIECE: usize = PIECE;
    const ONE_BLOCK: usize = T::ONE_BLOCK;
    const IS_EXACT: bool = T::IS_EXACT;
    fn run(cell: &mut T::Cell, run: &[Unaligned<T>]) {
        T::add_run(cell, run);
    }
    fn rows(cells: &mut [T::Cell], rows: &[Unaligned<T>]) {
        T::add_rows(cells, rows, ROWS);
    }
    fn blocks_of_rows(cells: &mut [T::Cell], rows: &[Unaligned<T>], block: usize) {
        T::add_rows(cells, rows, block);
    }
    fn merge(cell: &mut T::Cell, other: &T::Cell) {
        T::multiply(cell, other);
    }
    fn finish(cell: &T::Cell, _: &Seen) -> T::Out {
        T::result(cell)
    }
}

#[inline(always)]
fn whole_run<T: Source>(run: &[Unaligned<T>]) -> u64 {
    let mut lanes = [1u64; 16];
    let (whole, rest) = run.as_chunks::<16>();
    for numbers in whole {
        lanes.iter_mut().zip(numbers).for_each(|(lane, x)| *lane = lane.wrapping_mul(x.get().cast()));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane = lane.wrapping_mul(x.get().cast()));
    lanes.into_iter().fold(1, u64::wrapping_mul)
}

#[inline(always)]
fn whole_rows<T: Source>(cells: &mut [u64], rows: &[Unaligned<T>]) {
    for row in rows.chunks_exact(cells.len()) {
        cells.iter_mut().zip(row).for_each(|(cell, x)| *cell = cell.wrapping_mul(x.get().cast()));
    }
}

macro_rules! whole_factors {
    ($($t:ty => $out:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(run: &[Unaligned<$t>]) -> u64 = whole_run(run);
            fn $rows(cells: &mut [u64], rows: &[Unaligned<$t>]) = whole_rows(cells, rows);
        }
        impl Factor for $t {
            type Cell = u64;
            type Out = $out;
            const ONE: u64 = 1;
            const IS_EXACT: bool = true;
            fn add_run(cell: &mut u64, run: &[Unaligned<$t>]) {
                *cell = cell.wrapping_mul($run(run));
            }
            fn add_rows(cells: &mut [u64], rows: &[Unaligned<$t>], _: usize) {
                $rows(cells, rows);
            }
            fn multiply(cell: &mut u64, other: &u64) {
                *cell = cell.wrapping_mul(*other);
            }
            fn result(cell: &u64) -> $out {
                *cell as $out // the same bits
            }
        }
    )*};
}
whole_factors! {
    Bool8 => i64, run_bool rows_bool;
    i8 => i64, run_i8 rows_i8;
    i16 => i64, run_i16 rows_i16;
    i32 => i64, run_i32 rows_i32;
    i64 => i64, run_i64 rows_i64;
    u8 => u64, run_u8 rows_u8;
    u16 => u64, run_u16 rows_u16;
    u32 => u64, run_u32 rows_u32;
    u64 => u64, run_u64 rows_u64;
}

/// `fraction * 2^exponent`; the fraction's magnitude is from 1 to 2, or it is 0, infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Scaled {
    fraction: f64,
    exponent: i64,
}

const FRACTION: u64 = (1 << 52) - 1;
const SIGN: u64 = 1 << 63;
const ONE: u64 = 1023 << 52;

/// 2^n, for n from -1022 to 1023.
fn power_of_two(n: i64) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

impl Scaled {
    const ONE: Scaled = Scaled { fraction: 1.0, exponent: 0 };

    fn new(x: f64) -> Scaled {
        Scaled { fraction: x, exponent: 0 }.normal()
    }

    /// The same number, its fraction from 1 to 2.
    fn normal(self) -> Scaled {
        let Scaled { mut fraction, mut exponent } = self;
        if fraction == 0.0 || !fraction.is_finite() {
            return Scaled { fraction, exponent: 0 };
        }
        if fraction.is_subnormal() {
            fraction *= power_of_two(64);
            exponent -= 64;
        }
        let bits = fraction.to_bits();
        exponent += (bits >> 52 & 0x7ff) as i64 - 1023;
        Scaled { fraction: f64::from_bits(bits & (FRACTION | SIGN) | ONE), exponent }
    }

    fn multiply(&mut self, other: &Scaled) {
        let exponent = self.exponent.saturating_add(other.exponent);
        *self = Scaled { fraction: self.fraction * other.fraction, exponent }.normal();
    }

    /// The number, rounded once more where it is subnormal.
    fn value(self) -> f64 {
        match self.exponent {
            e if e > 1023 => self.fraction * f64::MAX * 2.0, // infinite, 0 * 2^e never has an exponent
            e if e >= -1022 => self.fraction * power_of_two(e),
            e if e >= -1100 => self.fraction * power_of_two(-1000) * power_of_two(e + 1000),
            _ => self.fraction * 0.0,
        }
    }
}

/// Products of `N` numbers side by side: fractions from 1 to 2 and powers of two, and where a number was zero, subnormal, infinite or
/// NaN, which leaves the rest without meaning.
struct Products<const N: usize> {
    fractions: [f64; N],
    exponents: [i64; N],
    /// Negative where such a number was.
    odd: [i64; N],
}

impl<const N: usize> Products<N> {
    #[inline(always)]
    fn new() -> Products<N> {
        Products { fractions: [1.0; N], exponents: [0; N], odd: [0; N] }
    }

    #[inline(always)]
    fn multiply<T: Source>(&mut self, numbers: &[Unaligned<T>; N]) {
        for (i, x) in numbers.iter().enumerate() {
            let bits = x.get().cast::<f64>().to_bits();
            let exponent = (bits >> 52 & 0x7ff) as i64;
            self.odd[i] |= (exponent - 1) | (0x7fe - exponent);
            self.exponents[i] += exponent - 1023;
            self.fractions[i] *= f64::from_bits(bits & (FRACTION | SIGN) | ONE);
        }
    }

    #[inline(always)]
    fn are_normal(&self) -> bool {
        let mut odd = 0;
        for lane in self.odd {
            odd |= lane;
        }
        odd >= 0
    }

    /// [`Scaled::multiply`] of each cell, without branches, by products of normal numbers, fewer than the powers of two a float64 has.
    #[inline(always)]
    fn multiply_into(&self, cells: &mut [Scaled; N]) {
        for (i, cell) in cells.iter_mut().enumerate() {
            let product = cell.fraction * self.fractions[i];
            let bits = product.to_bits();
            let exponent = (bits >> 52 & 0x7ff) as i64;
            // What a cell holds that is no normal number stays.
            let is_normal = ((exponent - 1) | (0x7fe - exponent)) >= 0;
            let fraction = f64::from_bits(bits & (FRACTION | SIGN) | ONE);
            let exponent = cell.exponent + self.exponents[i] + exponent - 1023;
            cell.fraction = if is_normal { fraction } else { product };
            cell.exponent = if is_normal { exponent } else { 0 };
        }
    }

    /// The product of one lane, where all its numbers were normal.
    #[inline(always)]
    fn get(&self, i: usize) -> Option<Scaled> {
        let product = Scaled { fraction: self.fractions[i], exponent: self.exponents[i] };
        (self.odd[i] >= 0).then(|| product.normal())
    }
}

#[inline(always)]
fn float_run<T: Source>(cell: &mut Scaled, run: &[Unaligned<T>]) {
    for block in run.chunks(BLOCK) {
        let (whole, rest) = block.as_chunks::<LANES>();
        let mut products = Products::<LANES>::new();
        for numbers in whole {
            products.multiply(numbers);
        }
        let mut product = Scaled::ONE;
        if products.are_normal() {
            (0..LANES).filter_map(|i| products.get(i)).for_each(|lane| product.multiply(&lane));
        } else {
            whole.as_flattened().iter().for_each(|x| product.multiply(&Scaled::new(x.get().cast())));
        }
        rest.iter().for_each(|x| product.multiply(&Scaled::new(x.get().cast())));
        cell.multiply(&product);
    }
}

/// Adds blocks of so many rows each, at most [`ROWS`].
#[inline(always)]
fn float_rows<T: Source>(cells: &mut [Scaled], rows: &[Unaligned<T>], block: usize) {
    let len = cells.len();
    for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
        for rows in rows.chunks(block * len) {
            let columns = Columns { rows, len, first: strip * STRIP };
            let from = columns.multiply::<LANES>(cells, 0);
            columns.multiply::<1>(cells, from);
        }
    }
}

impl<T: Source> Columns<'_, T> {
    /// Goes down rows, `N` columns at a time as long as there are so many, and answers which comes next.
    #[inline(always)]
    fn multiply<const N: usize>(&self, cells: &mut [Scaled], from: usize) -> usize {
        let mut at = from;
        for cells in cells[from..].as_chunks_mut::<N>().0 {
            let mut products = Products::<N>::new();
            for row in self.rows.chunks_exact(self.len) {
                products.multiply::<T>(&row[self.first + at..].as_chunks().0[0]);
            }
            if products.are_normal() {
                products.multiply_into(cells);
            } else {
                for (i, cell) in cells.iter_mut().enumerate() {
                    cell.multiply(&products.get(i).unwrap_or_else(|| self.one_by_one(at + i)));
                }
            }
            at += N;
        }
        at
    }

    /// The product of a column of any numbers.
    fn one_by_one(&self, at: usize) -> Scaled {
        let mut product = Scaled::ONE;
        for row in self.rows.chunks_exact(self.len) {
            product.multiply(&Scaled::new(row[self.first + at].get().cast()));
        }
        product
    }
}

macro_rules! float_factors {
    ($($t:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut Scaled, run: &[Unaligned<$t>]) = float_run(cell, run);
            fn $rows(cells: &mut [Scaled], rows: &[Unaligned<$t>], block: usize) = float_rows(cells, rows, block);
        }
        impl Factor for $t {
            type Cell = Scaled;
            type Out = $t;
            const ONE: Scaled = Scaled::ONE;
            const ONE_BLOCK: usize = ROWS;
            fn add_run(cell: &mut Scaled, run: &[Unaligned<$t>]) {
                $run(cell, run);
            }
            fn add_rows(cells: &mut [Scaled], rows: &[Unaligned<$t>], block: usize) {
                $rows(cells, rows, block);
            }
            fn multiply(cell: &mut Scaled, other: &Scaled) {
                cell.multiply(other);
            }
            fn result(cell: &Scaled) -> $t {
                Target::from_f64(cell.value())
            }
        }
    )*};
}
float_factors! {
    f16, run_f16 rows_f16;
    bf16, run_bf16 rows_bf16;
    f32, run_f32 rows_f32;
    f64, run_f64 rows_f64;
}

/// A complex number times 2^exponent. One that was never multiplied is no factor: `1 * inf` has a NaN in it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct ScaledPair {
    re: f64,
    im: f64,
    exponent: i64,
    is_factor: u64,
}

/// The exponent of the larger part, with its bias.
#[inline(always)]
fn exponent_of(re: f64, im: f64) -> i64 {
    let [re, im] = [re, im].map(|part| (part.to_bits() >> 52 & 0x7ff) as i64);
    if re < im {
        im
    } else {
        re
    }
}

/// The exponents of numbers that a normal power of two brings to 1 to 2.
const SCALED: std::ops::RangeInclusive<i64> = 1..=2045;

/// That power.
#[inline(always)]
fn down_to_one(exponent: i64) -> f64 {
    f64::from_bits(((2046 - exponent) as u64) << 52)
}

/// A complex number, as its parts.
type Parts<T> = [Unaligned<T>; 2];

/// Products of `N` complex numbers side by side, the larger part of each brought to 1 to 2, so that magnitudes do not sink and grow
/// by less than 2^1.5 with each; powers of two; and where a number was of another kind, which leaves the rest without meaning.
struct PairProducts<const N: usize> {
    re: [f64; N],
    im: [f64; N],
    exponents: [i64; N],
    /// Negative where such a number was.
    odd: [i64; N],
}

impl<const N: usize> PairProducts<N> {
    /// The first numbers: 1 is no factor.
    #[inline(always)]
    fn new<T: Source>(numbers: &[Parts<T>; N]) -> PairProducts<N> {
        let mut first = PairProducts { re: [0.0; N], im: [0.0; N], exponents: [0; N], odd: [0; N] };
        for (i, parts) in numbers.iter().enumerate() {
            (first.re[i], first.im[i]) = first.scaled(i, parts);
        }
        first
    }

    #[inline(always)]
    fn multiply<T: Source>(&mut self, numbers: &[Parts<T>; N]) {
        for (i, parts) in numbers.iter().enumerate() {
            let (re, im) = self.scaled(i, parts);
            (self.re[i], self.im[i]) = (self.re[i] * re - self.im[i] * im, self.re[i] * im + self.im[i] * re);
        }
    }

    /// A number with its larger part from 1 to 2; what it was is kept.
    #[inline(always)]
    fn scaled<T: Source>(&mut self, i: usize, parts: &Parts<T>) -> (f64, f64) {
        let [re, im]: [f64; 2] = [parts[0].get().cast(), parts[1].get().cast()];
        let exponent = exponent_of(re, im);
        self.odd[i] |= (exponent - SCALED.start()) | (SCALED.end() - exponent);
        self.exponents[i] += exponent - 1023;
        let scale = down_to_one(exponent);
        (re * scale, im * scale)
    }

    #[inline(always)]
    fn get(&self, i: usize) -> ScaledPair {
        ScaledPair { re: self.re[i], im: self.im[i], exponent: self.exponents[i], is_factor: 1 }.normal()
    }
}

/// The product of numbers of any kind, one after the other.
fn pairs_one_by_one<'r, T: Source>(numbers: impl Iterator<Item = &'r Parts<T>>) -> ScaledPair {
    let mut product = ScaledPair::NONE;
    for parts in numbers {
        let [re, im] = [parts[0].get().cast(), parts[1].get().cast()];
        product.multiply(&ScaledPair { re, im, exponent: 0, is_factor: 1 }.normal());
    }
    product
}

#[inline(always)]
fn pair_run<T: Source>(cell: &mut ScaledPair, run: &[Parts<T>]) {
    for block in run.chunks(BLOCK) {
        let (whole, rest) = block.as_chunks::<PAIRS>();
        let mut product = ScaledPair::NONE;
        if let Some((first, others)) = whole.split_first() {
            let mut products = PairProducts::new(first);
            others.iter().for_each(|numbers| products.multiply(numbers));
            if products.odd.iter().all(|odd| *odd >= 0) {
                (0..PAIRS).for_each(|i| product.multiply(&products.get(i)));
            } else {
                product = pairs_one_by_one(whole.as_flattened().iter());
            }
        }
        product.multiply(&pairs_one_by_one(rest.iter()));
        cell.multiply(&product);
    }
}

/// Adds blocks of so many rows each, at most [`ROWS`].
#[inline(always)]
fn pair_rows<T: Source>(cells: &mut [ScaledPair], rows: &[Parts<T>], block: usize) {
    let len = cells.len();
    for rows in rows.chunks(block * len) {
        let from = pair_columns::<T, PAIRS>(cells, rows, 0);
        pair_columns::<T, 1>(cells, rows, from);
    }
}

/// Goes down rows, `N` columns at a time as long as there are so many, and answers which comes next.
#[inline(always)]
fn pair_columns<T: Source, const N: usize>(cells: &mut [ScaledPair], rows: &[Parts<T>], from: usize) -> usize {
    let len = cells.len();
    let mut at = from;
    for cells in cells[from..].as_chunks_mut::<N>().0 {
        let mut each = rows.chunks_exact(len).map(|row| &row[at..].as_chunks::<N>().0[0]);
        let Some(first) = each.next() else { break };
        let mut products = PairProducts::new(first);
        each.for_each(|numbers| products.multiply(numbers));
        for (i, cell) in cells.iter_mut().enumerate() {
            cell.multiply(&match products.odd[i] {
                0.. => products.get(i),
                _ => pairs_one_by_one(rows.chunks_exact(len).map(|row| &row[at + i])),
            });
        }
        at += N;
    }
    at
}

impl ScaledPair {
    /// No factor yet.
    const NONE: ScaledPair = ScaledPair { re: 1.0, im: 0.0, exponent: 0, is_factor: 0 };

    #[inline(always)]
    fn multiply(&mut self, other: &ScaledPair) {
        if self.is_factor == 0 || other.is_factor == 0 {
            *self = if self.is_factor == 0 { *other } else { *self };
            return;
        }
        let product = Complex::new(self.re, self.im) * Complex::new(other.re, other.im);
        let exponent = self.exponent.saturating_add(other.exponent);
        *self = ScaledPair { re: product.re, im: product.im, exponent, is_factor: 1 }.normal();
    }

    /// The same number, its larger part from 1 to 2.
    #[inline(always)]
    fn normal(self) -> ScaledPair {
        let power = exponent_of(self.re, self.im);
        if SCALED.contains(&power) {
            let scale = down_to_one(power);
            let exponent = self.exponent.saturating_add(power - 1023);
            return ScaledPair { re: self.re * scale, im: self.im * scale, exponent, ..self };
        }
        self.normal_of_any()
    }

    fn normal_of_any(self) -> ScaledPair {
        let largest = self.re.abs().max(self.im.abs());
        if largest == 0.0 || !(self.re.is_finite() && self.im.is_finite()) {
            return ScaledPair { exponent: 0, ..self };
        }
        let power = Scaled::new(largest).exponent;
        let [re, im] = [self.re, self.im].map(|x| Scaled { fraction: x, exponent: -power }.normal().value());
        ScaledPair { re, im, exponent: self.exponent.saturating_add(power), is_factor: self.is_factor }
    }

    fn value(self) -> Complex64 {
        let part = |x| {
            let normal = Scaled::new(x);
            Scaled { exponent: normal.exponent.saturating_add(self.exponent), ..normal }.value()
        };
        match self.exponent {
            0 => Complex::new(self.re, self.im),
            _ => Complex::new(part(self.re), part(self.im)),
        }
    }
}

macro_rules! complex_factors {
    ($($t:ty, $part:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut ScaledPair, run: &[Parts<$part>]) = pair_run(cell, run);
            fn $rows(cells: &mut [ScaledPair], rows: &[Parts<$part>], block: usize) = pair_rows(cells, rows, block);
        }
        impl Factor for $t {
            type Cell = ScaledPair;
            type Out = $t;
            const ONE: ScaledPair = ScaledPair::NONE;
            const ONE_BLOCK: usize = ROWS;
            fn add_run(cell: &mut ScaledPair, run: &[Unaligned<$t>]) {
                $run(cell, bytemuck::cast_slice(run));
            }
            fn add_rows(cells: &mut [ScaledPair], rows: &[Unaligned<$t>], block: usize) {
                $rows(cells, bytemuck::cast_slice(rows), block);
            }
            fn multiply(cell: &mut ScaledPair, other: &ScaledPair) {
                cell.multiply(other);
            }
            fn result(cell: &ScaledPair) -> $t {
                let value = cell.value();
                Complex::new(value.re as $part, value.im as $part)
            }
        }
    )*};
}
complex_factors! {
    Complex32, f32, run_c64 rows_c64;
    Complex64, f64, run_c128 rows_c128;
}
