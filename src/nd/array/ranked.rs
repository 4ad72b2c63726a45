//! Medians and quantiles of a view, in bounded memory whatever its size.
//!
//! Elements are collected where they are few. Of more, some cells of the result are worked on at a time, each time with
//! the part of the view that they are made of; and what a single cell has too many of is narrowed down in passes over it.

use std::ops::Range;

use super::{Block, View};
use crate::nd::dtype::Dtype;
use crate::nd::error::Result;
use crate::nd::kernels::reduce::narrow::{narrowed, Given};
use crate::nd::kernels::reduce::quantile::{Ranking, SCRATCH};
use crate::nd::memory;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// Takes what a run of cells answers: the cells, which quantile they are, and their bytes.
type Put<'a> = dyn FnMut(Range<usize>, usize, &[u8]) + 'a;

impl View {
    /// Bytes of elements that [`View::ranked`] keeps at a time.
    pub fn ranked_bytes(&self, ranking: &Ranking) -> usize {
        let all = ranking.scratch_bytes();
        match self.has_parts() {
            true => all.min(SCRATCH),
            false => all,
        }
    }

    /// Medians or quantiles of the view: their dtype, shape, and elements in C order.
    ///
    /// # Errors
    /// As [`View::blocks`]; `VALUE` for a quantile of no elements.
    pub fn ranked(&self, ranking: Ranking) -> Result<(Dtype, Shape, Vec<u8>)> {
        self.ranked_within(ranking, SCRATCH)
    }

    fn ranked_within(&self, ranking: Ranking, scratch: usize) -> Result<(Dtype, Shape, Vec<u8>)> {
        if ranking.scratch_bytes() <= scratch || !self.has_parts() {
            return self.collected(ranking);
        }
        let bytes = ranking.result_bytes();
        let mut out = memory::bytes_with_capacity(bytes)?;
        out.resize(bytes, 0);
        self.add_ranked(&ranking, scratch, &mut |range, quantile, bytes| {
            let (_, cells) = ranking.cells();
            let itemsize = ranking.result().0.itemsize();
            out[(quantile * cells + range.start) * itemsize..][..range.len() * itemsize].copy_from_slice(bytes);
        })?;
        let (dtype, shape) = ranking.result();
        Ok((dtype, shape.clone(), out))
    }

    /// Calls `put` with runs of cells, which quantile they are, and their bytes.
    fn add_ranked(&self, ranking: &Ranking, scratch: usize, put: &mut Put<'_>) -> Result<()> {
        let (_, cells) = ranking.cells();
        let itemsize = ranking.result().0.itemsize();
        let mut put_all = |bytes: &[u8]| {
            let each = bytes.chunks_exact(cells * itemsize).enumerate();
            each.for_each(|(quantile, bytes)| put(0..cells, quantile, bytes));
        };
        if ranking.scratch_bytes() <= scratch {
            put_all(&self.collected(ranking.clone())?.2);
            return Ok(());
        }
        let kept = (0..self.shape().ndim()).find(|&axis| !ranking.is_reduced(axis) && self.shape()[axis] != 1);
        let Some(axis) = kept else {
            put_all(&narrowed(ranking, scratch, &mut |f| self.given(f))?);
            return Ok(());
        };
        // Some of the outermost cells, or one after the other where even that is too much.
        let length = self.shape()[axis];
        let inner = cells / length;
        let at_once = (scratch / (ranking.scratch_bytes() / length).max(1)).clamp(1, length - 1);
        for first in (0..length).step_by(at_once) {
            let part = self.part(axis, first..(first + at_once).min(length))?;
            let own = ranking.of_part(part.shape())?;
            part.add_ranked(&own, scratch, &mut |range, quantile, bytes| {
                put(range.start + first * inner..range.end + first * inner, quantile, bytes);
            })?;
        }
        Ok(())
    }

    /// Hands every block on.
    fn given(&self, f: &mut dyn FnMut(Given<'_>)) -> Result<()> {
        self.blocks(&mut |block| {
            match (&block.elements, block.mask) {
                (Block::Elements(bytes), mask) => f(Given::All(bytes, mask)),
                (Block::Fill(element), None) => f(Given::Same(element, block.lens.iter().product::<usize>() as u64)),
                (Block::Fill(element), Some(mask)) => {
                    f(Given::Same(element, mask.iter().filter(|m| **m != 0).count() as u64));
                }
            }
            Ok(())
        })
    }

    /// Collects all elements, and answers.
    fn collected(&self, ranking: Ranking) -> Result<(Dtype, Shape, Vec<u8>)> {
        let dtype = self.dtype();
        let mut ranked = ranking.start()?;
        self.blocks(&mut |block| match block.elements {
            Block::Elements(bytes) => ranked.add_block(bytes, block.mask, block.lens, block.offset),
            Block::Fill(element) => {
                ranked.add_fill(&Scalar::from_le_bytes(dtype, element), block.mask, block.lens, block.offset)
            }
        })?;
        ranked.finish()
    }
}

#[cfg(test)]
mod tests {
    use triomphe::Arc;

    use super::*;
    use crate::nd::array::{Array, StoreOptions};
    use crate::nd::codec::Policy;
    use crate::nd::index::Index;
    use crate::nd::kernels::axes::AxisSet;
    use crate::nd::kernels::reduce::quantile::{Method, Rank};
    use crate::nd::kernels::reduce::Options;
    use crate::nd::source::SliceSource;

    fn array(dtype: Dtype, shape: &Shape, policy: Policy, bytes: &[u8]) -> Arc<Array> {
        let options = StoreOptions { policy, chunk_shape: Some(Shape::from([4, 5, 3])), ..StoreOptions::default() };
        Arc::new(Array::from_source(dtype, shape, &mut SliceSource::new(bytes), &options).unwrap())
    }

    /// Elements of every kind: some constant chunks, equal ones, zeros of both signs, infinities, NaN where there is one.
    fn elements(dtype: Dtype, count: usize, with_nan: bool) -> Vec<u8> {
        let mut x = 7u64;
        let size = dtype.number_size();
        let mut bytes = Vec::new();
        for i in 0..count * (dtype.itemsize() / size) {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let small = (x >> 60) as f64 - 8.0;
            let number: f64 = match x >> 33 & 15 {
                _ if i < count / 3 => 3.0,
                0 => -0.0,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 if with_nan => f64::NAN,
                n if n < 10 => small,
                _ => small + (x >> 40) as f64 / 1e4,
            };
            match (dtype, size) {
                (Dtype::Bool, _) => bytes.push((x >> 40 & 1) as u8),
                (Dtype::Float16, _) => bytes.extend_from_slice(&half::f16::from_f64(number).to_le_bytes()),
                (Dtype::BFloat16, _) => bytes.extend_from_slice(&half::bf16::from_f64(number).to_le_bytes()),
                (_, 4) if dtype.is_inexact() => bytes.extend_from_slice(&(number as f32).to_le_bytes()),
                _ if dtype.is_inexact() => bytes.extend_from_slice(&number.to_le_bytes()),
                _ if i < count / 3 => bytes.extend_from_slice(&3u64.to_le_bytes()[..size]),
                _ => bytes.extend_from_slice(&x.rotate_left(20).to_le_bytes()[..size]),
            }
        }
        bytes
    }

    /// However little is kept at a time, the answers are those of all elements collected.
    #[test]
    fn little_memory_gives_the_same_bits() {
        let shape = Shape::from([13, 5, 6]);
        let mask_bytes: Vec<u8> = (0..30).map(|i| u8::from(i % 5 != 2)).collect();
        let mask_of = |shape: &[usize]| {
            let size = shape.iter().product::<usize>();
            let mut source = SliceSource::new(&mask_bytes[..size]);
            let shape = Shape::new(shape).unwrap();
            Arc::new(Array::from_source(Dtype::Bool, &shape, &mut source, &StoreOptions::default()).unwrap())
        };
        let ranks = |dtype: Dtype| match dtype {
            Dtype::Complex64 | Dtype::Complex128 => vec![Rank::Median],
            Dtype::Bool => vec![Rank::Median, Rank::Quantiles(vec![0.3, 1.0], Method::Nearest)],
            _ => vec![
                Rank::Median,
                Rank::Quantiles(vec![0.9, 0.0, 0.37, 0.371, 1.0], Method::Linear),
                Rank::Quantiles((0..90).map(|i| f64::from(i) / 90.0).collect(), Method::Higher),
            ],
        };
        let mut checked = 0;
        for (number, &dtype) in Dtype::ALL.iter().enumerate() {
            let with_nan = number % 2 == 0;
            let bytes = elements(dtype, shape.len_or_max(), with_nan);
            for (policy, index, masked) in [
                (Policy::Raw, None, None),
                (Policy::Lz4, None, Some(&[5, 6][..])),
                (Policy::Lz4, Some("3:12:2,::-1"), None),
                (Policy::Raw, Some("::-2,4,None,1:"), Some(&[5][..])),
            ] {
                let array = array(dtype, &shape, policy, &bytes);
                let index = index.map(|i: &str| Index::parse(i.as_bytes()).unwrap());
                let view = View::new(array, index.as_ref(), masked.map(mask_of)).unwrap();
                let ndim = view.shape().ndim();
                for axes in [AxisSet::all(ndim), AxisSet::new(&[0], ndim).unwrap(), AxisSet::new(&[-1], ndim).unwrap()]
                {
                    for rank in ranks(dtype) {
                        let skip_nan = checked % 4 < 2;
                        let options = Options { skip_nan, is_masked: masked.is_some(), ..Options::default() };
                        let ranking = Ranking::new(rank.clone(), dtype, view.shape(), &axes, &options).unwrap();
                        let want = view.collected(ranking.clone());
                        for scratch in [0, 300] {
                            let got = view.ranked_within(ranking.clone(), scratch);
                            assert_eq!(got, want, "{dtype} {rank:?} {axes:?} {scratch}");
                            checked += 1;
                        }
                    }
                }
            }
        }
        assert!(checked > 800, "{checked}");
    }
}
