//! Laws that hold for every reduction, dtype and set of options.

use proptest::prelude::*;

use super::quantile::{Method, Rank, Ranking};
use super::tests::{cut, each_block, random_elements};
use super::versions::portable;
use super::{KeepDims, Op, Options, Reduction, State};
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::kernels::aligned::Aligned;
use crate::nd::kernels::axes::AxisSet;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

#[derive(Debug, Clone)]
struct Case {
    shape: Vec<usize>,
    chunk: Vec<usize>,
    axes: Vec<i64>,
    dtype: Dtype,
    op: Op,
    options: Options,
    mask: Option<Vec<u8>>,
    elements: Vec<u8>,
}

type Answer = crate::nd::error::Result<(Dtype, Shape, Vec<u8>)>;

impl Case {
    fn plan(&self) -> crate::nd::error::Result<Reduction> {
        let set = AxisSet::new(&self.axes, self.shape.len())?;
        Reduction::with(self.op, self.dtype, &Shape::new(&self.shape).unwrap(), &set, &self.options)
    }

    fn block(&self, len: &[usize], offset: &[usize]) -> (Aligned, Option<Aligned>) {
        let size = self.dtype.itemsize();
        let mask = self.mask.as_ref().map(|m| cut(m, 1, &self.shape, len, offset));
        (cut(&self.elements, size, &self.shape, len, offset), mask)
    }

    fn reduced(&self, chunk: &[usize]) -> Answer {
        let mut state = self.plan()?.start()?;
        each_block(&self.shape, chunk, &mut |len, offset| {
            let (block, mask) = self.block(len, offset);
            state.add_block(&block, mask.as_deref(), len, offset).unwrap();
        });
        state.finish()
    }
}

fn options() -> impl Strategy<Value = Options> {
    (any::<[bool; 3]>(), 0..4usize, 0..60usize).prop_map(|([keep, skip_nan, is_masked], ddof, dtype)| Options {
        keepdims: if keep { KeepDims::Yes } else { KeepDims::No },
        skip_nan,
        is_masked,
        ddof: [0.0, 1.0, 2.5, 0.0][ddof],
        dtype: Dtype::ALL.get(dtype).copied(),
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let axis = || (prop_oneof![6 => 1usize..6, 1 => Just(0usize), 1 => 30usize..150], 1usize..60, any::<bool>());
    let what = (0..15usize, 0..Op::ALL.len(), options(), 0..3usize);
    (prop::collection::vec(axis(), 0..4), what, any::<u64>()).prop_filter_map(
        "small arrays",
        |(axes, (dtype, op, mut options, special), seed)| {
            let shape: Vec<usize> = axes.iter().map(|a| a.0).collect();
            let size: usize = shape.iter().product();
            let (dtype, op) = (Dtype::ALL[dtype], Op::ALL[op]);
            options.dtype = options.dtype.filter(|d| op.settle(dtype, Some(*d)).is_ok());
            let mut elements = random_elements(dtype, size, seed);
            if special > 0 {
                spoil(dtype, &mut elements, seed, special == 2);
            }
            let mask = options
                .is_masked
                .then(|| (0..size as u64).map(|i| (!(seed ^ (i * 7)).is_multiple_of(3)) as u8).collect());
            let mut reduced: Vec<i64> = (0..).zip(&axes).filter(|(_, a)| a.2).map(|(i, _)| i).collect();
            if matches!(op, Op::ArgMin | Op::ArgMax) && reduced.len() != shape.len() {
                reduced.truncate(1);
            }
            let chunk = axes.iter().map(|a| a.1).collect();
            let case = Case { shape, chunk, axes: reduced, dtype, op, options, mask, elements };
            (size < 20_000 && case.plan().is_ok()).then_some(case)
        },
    )
}

/// Puts zeros of both signs, infinities and (if asked) NaN among floats, extremes among integers.
fn spoil(dtype: Dtype, elements: &mut [u8], seed: u64, with_nan: bool) {
    let numbers: &[f64] = &[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let size = dtype.number_size();
    let part = match dtype {
        Dtype::Complex64 => Dtype::Float32,
        Dtype::Complex128 => Dtype::Float64,
        real => real,
    };
    for (i, number) in elements.chunks_exact_mut(size).enumerate() {
        let at = (seed.wrapping_mul(i as u64 + 1) >> 33) as usize;
        if !at.is_multiple_of(5) {
            continue;
        }
        match part.integer_range() {
            Some((low, high)) => {
                let value = if at.is_multiple_of(2) { low } else { high };
                number.copy_from_slice(&value.to_le_bytes()[..size]);
            }
            None if part != Dtype::Bool => {
                let x = numbers[at / 5 % if with_nan { 5 } else { 2 }];
                let scalar = Scalar::new(crate::nd::scalar::Number::Float(x), part).unwrap();
                number.copy_from_slice(&scalar.to_le_bytes()[..size]);
            }
            None => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Partials made apart and merged in chunk order give the bits of one thread; so does the portable path.
    #[test]
    fn threads_and_instruction_sets_give_the_same_bits(case in cases()) {
        let plan = case.plan().unwrap();
        let mut partials = Vec::new();
        each_block(&case.shape, &case.chunk, &mut |len, offset| {
            let (block, mask) = case.block(len, offset);
            partials.push(plan.partial(&block, mask.as_deref(), len, offset).unwrap());
        });
        let mut state: State = plan.start().unwrap();
        partials.iter().for_each(|p| state.merge(p));
        let want = case.reduced(&case.chunk);
        prop_assert_eq!(&state.finish(), &want);
        prop_assert_eq!(&portable(|| case.reduced(&case.chunk)), &want);
    }

    /// Blocks of rows that are handed over at once, at any address, give the bits of one after the other.
    #[test]
    fn blocks_at_once_are_one_after_the_other(mut case in cases(), rows in 1usize..80, at in 0usize..16) {
        prop_assume!(!case.shape.is_empty());
        case.options.is_masked = false;
        case.mask = None;
        case.chunk = std::iter::once(rows).chain(case.shape[1..].iter().map(|&dim| dim.max(1))).collect();
        let bytes = [&[0; 15][..at.min(15)], &case.elements].concat();
        let mut state = case.plan().unwrap().start().unwrap();
        state.add_blocks(&bytes[at.min(15)..], &case.shape, &vec![0; case.shape.len()], rows).unwrap();
        prop_assert_eq!(state.finish(), case.reduced(&case.chunk));
    }

    /// A constant block gives the bits of its elements written out.
    #[test]
    fn a_fill_block_is_its_elements_written_out(mut case in cases()) {
        let size = case.dtype.itemsize();
        prop_assume!(!case.elements.is_empty());
        let first = case.elements[..size].to_vec();
        let value = Scalar::from_le_bytes(case.dtype, &first);
        case.elements.chunks_exact_mut(size).for_each(|e| e.copy_from_slice(&first));
        let mut state = case.plan().unwrap().start().unwrap();
        each_block(&case.shape, &case.chunk, &mut |len, offset| {
            let (_, mask) = case.block(len, offset);
            state.add_fill(&value, mask.as_deref(), len, offset).unwrap();
        });
        prop_assert_eq!(state.finish(), case.reduced(&case.chunk));
    }

    /// What has one right answer has it whatever the chunks: all but what is rounded.
    #[test]
    fn exact_answers_do_not_depend_on_the_chunks(case in cases()) {
        let is_exact = match case.op {
            Op::Sum | Op::Prod => !case.plan().unwrap().out_dtype().is_inexact(),
            Op::Mean => !case.dtype.is_inexact() && case.options.dtype.is_none(),
            Op::Var | Op::Std | Op::Norm => false,
            _ => true,
        };
        // Which of several complex NaN is met first is a matter of chunks.
        let is_clear = case.dtype.kind() != Kind::Complex || !matches!(case.op, Op::Min | Op::Max | Op::Ptp);
        prop_assume!(is_exact && is_clear);
        let whole = case.reduced(&vec![usize::MAX / 2; case.shape.len()]);
        let split = case.reduced(&case.chunk);
        match (&whole, &split) {
            (Ok(a), Ok(b)) if case.dtype.kind() == Kind::Float => {
                // Zeros of either sign are equal.
                let plus = |bytes: &[u8]| -> Vec<String> {
                    bytes.chunks(a.0.itemsize())
                        .map(|e| Scalar::from_le_bytes(a.0, e).short().to_string().replace("-0", "0")).collect()
                };
                prop_assert_eq!(plus(&a.2), plus(&b.2));
            }
            _ => prop_assert_eq!(whole, split),
        }
    }

    /// Quantiles, against sorting.
    #[test]
    fn selection_finds_what_sorting_finds(case in cases(), q in 0.0f64..=1.0, median: bool) {
        prop_assume!(case.dtype.kind() == Kind::Float || case.dtype.integer_range().is_some());
        let shape = Shape::new(&case.shape).unwrap();
        let rank = if median { Rank::Median } else { Rank::Quantiles(vec![1.0, q, 0.0], Method::Lower) };
        let options = Options { keepdims: KeepDims::No, dtype: None, ..case.options };
        let axes = AxisSet::all(case.shape.len());
        let Ok(ranking) = Ranking::new(rank, case.dtype, &shape, &axes, &options) else { return Ok(()) };
        let mut ranked = ranking.start().unwrap();
        each_block(&case.shape, &case.chunk, &mut |len, offset| {
            let (block, mask) = case.block(len, offset);
            ranked.add_block(&block, mask.as_deref(), len, offset).unwrap();
        });
        let got = ranked.finish();
        let number = |dtype: Dtype, e: &[u8]| Scalar::from_le_bytes(dtype, e).number().as_f64().unwrap();
        let kept = |i: usize| case.mask.as_ref().is_none_or(|m| m[i] != 0);
        let all = case.elements.chunks(case.dtype.itemsize()).map(|e| number(case.dtype, e));
        let mut sorted: Vec<f64> = all.enumerate().filter(|(i, _)| kept(*i)).map(|(_, x)| x).collect();
        let has_nan = sorted.iter().any(|x| x.is_nan());
        sorted.retain(|x| !x.is_nan());
        sorted.sort_by(f64::total_cmp);
        let Ok((dtype, _, bytes)) = got else {
            prop_assert!(sorted.is_empty());
            return Ok(());
        };
        let got: Vec<f64> = bytes.chunks(dtype.itemsize()).map(|e| number(dtype, e)).collect();
        if sorted.is_empty() || (has_nan && !options.skip_nan) {
            prop_assert!(got.iter().all(|x| x.is_nan()));
            return Ok(());
        }
        let last = sorted.len() - 1;
        if median {
            let (a, b) = (sorted[last / 2], sorted[sorted.len() / 2]);
            let want = if a == b { a } else { (a + b) / 2.0 };
            let near = (got[0] - want).abs() <= want.abs() * 0.004 + 1e-7 || got[0] == want || (got[0].is_nan() && want.is_nan());
            prop_assert!(near, "{} for {}", got[0], want);
        } else {
            prop_assert_eq!(got, vec![sorted[last], sorted[(last as f64 * q) as usize], sorted[0]]);
        }
    }
}

/// A plan's blocks, shared out among threads, and their parts merged in chunk order.
fn threaded(case: &Case, threads: usize) -> Answer {
    let plan = case.plan()?;
    let mut blocks = Vec::new();
    each_block(&case.shape, &case.chunk, &mut |len, offset| blocks.push((len.to_vec(), offset.to_vec())));
    let partial = |(len, offset): &(Vec<usize>, Vec<usize>)| {
        let (block, mask) = case.block(len, offset);
        plan.partial(&block, mask.as_deref(), len, offset).unwrap()
    };
    let mut parts: Vec<_> = std::thread::scope(|scope| {
        let (blocks, partial) = (&blocks, &partial);
        let mine = move |t: usize| {
            move || (t..blocks.len()).step_by(threads).map(|i| (i, partial(&blocks[i]))).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..threads).map(|t| scope.spawn(mine(t))).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    parts.sort_by_key(|(i, _)| *i);
    let mut state = plan.start()?;
    parts.iter().for_each(|(_, p)| state.merge(p));
    state.finish()
}

#[test]
fn one_two_and_five_threads_give_the_same_bits() {
    let mut checked = 0;
    for &dtype in Dtype::ALL {
        for &op in Op::ALL {
            for (axes, skip_nan) in [(vec![0, 1], false), (vec![0], true), (vec![1], false)] {
                let mut elements = random_elements(dtype, 60 * 130, 7);
                spoil(dtype, &mut elements, 3, skip_nan);
                let options = Options { skip_nan, ddof: 1.0, ..Options::default() };
                let (shape, chunk) = (vec![60, 130], vec![7, 50]);
                let case = Case { shape, chunk, axes, dtype, op, options, mask: None, elements };
                if case.plan().is_err() {
                    continue;
                }
                let want = case.reduced(&case.chunk);
                assert!(
                    [1, 2, 5].into_iter().all(|n| threaded(&case, n) == want),
                    "{op:?} of {dtype} over {:?}",
                    case.axes
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 600, "{checked}");
}

/// Rows that are longer than any kernel works on at a time.
#[test]
fn long_rows_give_the_bits_of_one_block_after_the_other() {
    let mut checked = 0;
    for &dtype in Dtype::ALL {
        for &op in Op::ALL {
            for (rows, with_nan) in [(2, false), (5, true), (40, false)] {
                let shape = vec![41, 2063];
                let mut elements = random_elements(dtype, 41 * 2063, 11);
                spoil(dtype, &mut elements, 5, with_nan);
                let (chunk, options) = (vec![rows, 2063], Options::default());
                let case = Case { shape, chunk, axes: vec![0], dtype, op, options, mask: None, elements };
                let Ok(plan) = case.plan() else { continue };
                let mut state = plan.start().unwrap();
                state.add_blocks(&case.elements, &case.shape, &[0, 0], rows).unwrap();
                assert!(state.finish() == case.reduced(&case.chunk), "{op:?} of {dtype} in blocks of {rows}");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}
