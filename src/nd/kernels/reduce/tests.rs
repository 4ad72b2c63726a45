use super::*;
use crate::nd::dtype::Dtype;
use crate::nd::error::Error;
use crate::nd::kernels::aligned::{from_hex, Aligned};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::cast::cast;
use crate::nd::scalar::{Number, Scalar};
use crate::nd::shape::Shape;
use proptest::prelude::*;

pub(super) fn dtype(name: &str) -> Dtype {
    Dtype::parse(name.as_bytes()).unwrap().0
}

/// Calls `visit` with the shape and offset of every block of a chunk grid, in C order.
pub(super) fn each_block(shape: &[usize], chunk: &[usize], visit: &mut dyn FnMut(&[usize], &[usize])) {
    let counts: Vec<usize> = shape.iter().zip(chunk).map(|(n, c)| n.div_ceil(*c)).collect();
    for flat in 0..counts.iter().product() {
        let at = position(&counts, flat);
        let offset: Vec<usize> = at.iter().zip(chunk).map(|(i, c)| i * c).collect();
        let len: Vec<usize> = shape.iter().zip(&offset).zip(chunk).map(|((n, o), c)| (*c).min(n - o)).collect();
        visit(&len, &offset);
    }
}

/// The index of the `flat`th element in C order.
fn position(shape: &[usize], mut flat: usize) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (i, n) in at.iter_mut().zip(shape).rev() {
        (*i, flat) = (flat % n, flat / n);
    }
    at
}

fn flat(shape: &[usize], at: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |f, (i, n)| f * n + i)
}

/// The elements of a block of a C-order array.
pub(super) fn cut(elements: &[u8], itemsize: usize, shape: &[usize], len: &[usize], offset: &[usize]) -> Aligned {
    let mut out = Vec::new();
    for i in 0..len.iter().product() {
        let at: Vec<usize> = position(len, i).iter().zip(offset).map(|(a, o)| a + o).collect();
        out.extend_from_slice(&elements[flat(shape, &at) * itemsize..][..itemsize]);
    }
    Aligned::new(&out)
}

fn reduce(plan: &Reduction, elements: &[u8], shape: &[usize], chunk: &[usize]) -> (Dtype, Shape, Vec<u8>) {
    let mut state = plan.start().unwrap();
    each_block(shape, chunk, &mut |len, offset| {
        state.add_block(&cut(elements, plan.dtype.itemsize(), shape, len, offset), None, len, offset).unwrap();
    });
    state.finish().unwrap()
}

/// Two numbers in turn have this variance: in a run, in one column, and in columns that are gone down several at a time.
fn check_variance(pair: [f64; 2], want: f64) {
    for count in [2, 3, 5, 8, 16, 17, 40, 300, 5000] {
        let elements: Vec<u8> = (0..count).flat_map(|i| pair[i % 2].to_le_bytes()).collect();
        for (shape, axis, width) in [(vec![count], 0, 1), (vec![count, 1], 0, 1), (vec![count, 20], 0, 20)] {
            let elements: Vec<u8> = elements.chunks(8).flat_map(|x| x.repeat(width)).collect();
            let shape_of = Shape::new(&shape).unwrap();
            let axes = AxisSet::new(&[axis], shape.len()).unwrap();
            let plan = Reduction::new(Op::Var, Dtype::Float64, &shape_of, &axes, KeepDims::No).unwrap();
            let mut chunk = shape.clone();
            for rows in [count, 7] {
                chunk[0] = rows;
                let (_, _, out) = reduce(&plan, &elements, &shape, &chunk);
                let all = out.chunks(8).all(|x| x == want.to_le_bytes());
                assert!(all, "{pair:?} {count} {shape:?} {rows}: {:?}", &out[..8]);
            }
        }
    }
}

#[test]
fn variances_of_constants_are_0_however_large() {
    for x in [0.1, 1e154, 1e160, 1e170, -1e200, 1.1e250, 1e300, 6e307, 1.7e308, f64::MAX] {
        check_variance([x, x], 0.0);
    }
}

#[test]
fn variances_of_finite_elements_overflow_to_infinity() {
    for pair in [[1e300_f64, -7e300], [1e200, -1e200], [1e160, 0.0]] {
        check_variance(pair, f64::INFINITY);
    }
    // Infinite elements have none.
    let shape = Shape::from([3]);
    let plan = Reduction::new(Op::Var, Dtype::Float64, &shape, &AxisSet::new(&[0], 1).unwrap(), KeepDims::No).unwrap();
    let elements: Vec<u8> = [1.0, f64::INFINITY, 2.0].into_iter().flat_map(f64::to_le_bytes).collect();
    let (_, _, out) = reduce(&plan, &elements, &[3], &[3]);
    assert!(f64::from_le_bytes(out.try_into().unwrap()).is_nan());
}

/// Elements as complex numbers of float64: exact for all but 64-bit integers.
pub(super) fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<[f64; 2]> {
    bytes
        .chunks(dtype.itemsize())
        .map(|b| match Scalar::from_le_bytes(dtype, b).number() {
            Number::Complex(c) => [c.re, c.im],
            real => [real.as_f64().unwrap(), 0.0],
        })
        .collect()
}

#[test]
fn sums_and_means_are_numpys_over_every_set_of_axes() {
    let mut array: Option<(Dtype, Shape, Vec<u8>)> = None;
    let mut checked = 0;
    for line in include_str!("../../../../tests/golden/reductions.txt").lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "array" {
            array = Some((dtype(words[1]), Shape::parse(words[2].as_bytes()).unwrap(), from_hex(words[3])));
            continue;
        }
        let (from, shape, elements) = array.as_ref().unwrap();
        let op = if words[0] == "sum" { Op::Sum } else { Op::Mean };
        let axes = AxisSet::parse(words[1].as_bytes(), shape.ndim()).unwrap();
        let keepdims = if words[2] == "1" { KeepDims::Yes } else { KeepDims::No };
        let plan = Reduction::new(op, *from, shape, &axes, keepdims).unwrap();
        let (out, out_shape, got) = reduce(&plan, elements, shape, &vec![usize::MAX / 2; shape.ndim()]);
        assert_eq!(out, dtype(words[3]), "{line}");
        assert_eq!(out_shape, Shape::parse(words[4].as_bytes()).unwrap(), "{line}");
        assert_eq!((&out_shape, out), (plan.out_shape(), plan.out_dtype()));
        let want = from_hex(words[5]);
        let is_exact = from.kind() != crate::nd::dtype::Kind::Complex || op == Op::Sum;
        for (g, w) in numbers(out, &got).concat().iter().zip(numbers(out, &want).concat()) {
            let near = !is_exact && (g - w).abs() <= w.abs() * 1e-6;
            assert!(*g == w || (g.is_nan() && w.is_nan()) || near, "{from} {shape} {line}: {g} for {w}");
        }
        if !out.is_inexact() {
            assert_eq!(got, want, "{from} {shape} {line}");
        }
        checked += 1;
    }
    assert!(checked > 1_500, "{checked}");
}

/// The order of additions that the module comment of `sum_floats` describes, spelled out.
fn documented_sum(x: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    let mut add = |mut lanes: Vec<f64>| {
        while lanes.len() > 1 {
            let (low, high) = lanes.split_at(lanes.len() / 2);
            lanes = low.iter().zip(high).map(|(a, b)| a + b).collect();
        }
        let total = sum + lanes[0];
        let part = total - sum;
        lost += (sum - (total - part)) + (lanes[0] - part);
        sum = total;
    };
    let mut rest = x;
    for quarter in [4096, 2048, 512] {
        let spans = rest.chunks_exact(4 * quarter);
        rest = spans.remainder();
        for (span, from) in spans.flat_map(|span| (0..quarter).step_by(512).map(move |from| (span, from))) {
            // Of each lane: four times four numbers of each of four quarters.
            let number = |lane: usize, step: usize, part: usize| span[part * quarter + from + step * 32 + lane];
            let of_steps = |lane: usize, first: usize| {
                (first..first + 4)
                    .flat_map(|step| (0..4).map(move |part| (step, part)))
                    .fold(0.0, |a, (s, p)| a + number(lane, s, p))
            };
            add((0..32).map(|lane| (0..4).fold(0.0, |a, group| a + of_steps(lane, 4 * group))).collect());
        }
    }
    for block in rest.chunks(512) {
        let width = if x.len() < 64 { 8 } else { 32 };
        add((0..width).map(|l| block.iter().skip(l).step_by(width).fold(0.0, |a, b| a + b)).collect());
    }
    // one block merged into an empty state
    sum + lost
}

fn wave(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * i % 1009) as f64 - 300.1) / 7.3 * 10f64.powi((i % 7) as i32 - 3)).collect()
}

#[test]
fn a_run_is_added_in_the_documented_order_on_every_machine() {
    for n in (0..200)
        .chain([511, 512, 513, 544, 575, 576, 1000, 1024, 2047, 2048, 2049, 4095, 4096, 4097, 10_000, 16_384, 50_001])
    {
        let x = wave(n);
        let plan = Reduction::new(Op::Sum, Dtype::Float64, &Shape::from([n]), &AxisSet::all(1), KeepDims::No).unwrap();
        let (_, _, got) = reduce(&plan, bytemuck::cast_slice(&x), &[n], &[n.max(1)]);
        assert_eq!(got, documented_sum(&x).to_le_bytes(), "{n}");
    }
}

#[test]
fn sums_stay_within_the_documented_bound() {
    // alternating large numbers and small ones: the plain sum is far off
    let n = 200_000;
    let x: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1e16 / (1.0 + i as f64) } else { 0.1 + i as f64 }).collect();
    let exact = exact_sum(&x);
    let bound = 22.0 * f64::EPSILON / 2.0 * x.iter().map(|v| v.abs()).sum::<f64>();
    for chunk in [n, 8192usize, 100] {
        for (shape, chunks) in [(vec![n], vec![chunk]), (vec![n / 4, 4], vec![chunk.div_ceil(4), 4])] {
            let axes = AxisSet::new(&[0], shape.len()).unwrap();
            let plan =
                Reduction::new(Op::Sum, Dtype::Float64, &Shape::new(&shape).unwrap(), &axes, KeepDims::No).unwrap();
            let (_, _, got) = reduce(&plan, bytemuck::cast_slice(&x), &shape, &chunks);
            let total: f64 = exact_sum(&numbers(Dtype::Float64, &got).iter().map(|p| p[0]).collect::<Vec<_>>());
            assert!((total - exact).abs() <= bound, "{shape:?} {chunks:?}: {total} for {exact}");
        }
    }
}

/// A sum in about 106 bits.
fn exact_sum(x: &[f64]) -> f64 {
    let (mut sum, mut lost, mut lost_twice) = (0.0f64, 0.0f64, 0.0f64);
    let two_sum = |a: f64, b: f64| {
        let s = a + b;
        let z = s - a;
        (s, (a - (s - z)) + (b - z))
    };
    for &v in x {
        let (s, e) = two_sum(sum, v);
        sum = s;
        let (l, e) = two_sum(lost, e);
        lost = l;
        lost_twice += e;
    }
    sum + (lost + lost_twice)
}

#[test]
fn huge_results_are_measured_not_allocated() {
    let shape = Shape::from([0, 1 << 40]);
    let plan = Reduction::new(Op::Sum, Dtype::Float64, &shape, &AxisSet::new(&[0], 2).unwrap(), KeepDims::No).unwrap();
    assert_eq!(plan.state_bytes(), (1 << 40) * 24);
    assert!(matches!(plan.start(), Err(Error::OutOfMemory { .. })));
    let shape = Shape::from([0, 1 << 60]);
    let refused = Reduction::new(Op::Mean, Dtype::UInt8, &shape, &AxisSet::new(&[0], 2).unwrap(), KeepDims::No);
    assert!(matches!(refused, Err(Error::TooManyElements { .. })));
}

#[test]
fn integer_sums_wrap_and_integer_means_do_not() {
    let x = [i64::MAX, i64::MAX, 2];
    let reduce_all = |op| {
        let plan = Reduction::new(op, Dtype::Int64, &Shape::from([3]), &AxisSet::all(1), KeepDims::No).unwrap();
        reduce(&plan, bytemuck::cast_slice(&x), &[3], &[3]).2
    };
    assert_eq!(reduce_all(Op::Sum), 0i64.to_le_bytes());
    assert_eq!(reduce_all(Op::Mean), (2f64.powi(64) / 3.0).to_le_bytes());
}

#[derive(Debug, Clone)]
struct Case {
    shape: Vec<usize>,
    chunk: Vec<usize>,
    axes: Vec<i64>,
    dtype: Dtype,
    op: Op,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let axis = || {
        (prop_oneof![4 => 1usize..6, 1 => Just(0usize), 1 => Just(1usize), 1 => 30usize..70], 1usize..40, any::<bool>())
    };
    (prop::collection::vec(axis(), 0..5), 0..15usize, any::<bool>(), any::<u64>()).prop_filter_map(
        "small arrays",
        |(axes, dtype, sum, seed)| {
            let shape: Vec<usize> = axes.iter().map(|a| a.0).collect();
            (shape.iter().product::<usize>() < 20_000).then(|| Case {
                chunk: axes.iter().map(|a| a.1).collect(),
                axes: (0..).zip(&axes).filter(|(_, a)| a.2).map(|(i, _)| i).collect(),
                dtype: Dtype::ALL[dtype],
                op: if sum { Op::Sum } else { Op::Mean },
                seed,
                shape,
            })
        },
    )
}

/// Elements of moderate size and of both signs.
pub(super) fn random_elements(dtype: Dtype, count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let parts: Vec<f64> = (0..count * 2)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / 65536.0 - if dtype.kind() == crate::nd::dtype::Kind::Unsigned { 0.0 } else { 128.0 }
        })
        .collect();
    let mut out = Aligned::zeroed(count * dtype.itemsize());
    cast(Dtype::Complex128, &Aligned::new(bytemuck::cast_slice(&parts)), dtype, &mut out);
    out.to_vec()
}

proptest! {
    /// The slow and obvious loop: one element after the other into its cell.
    #[test]
    fn reductions_equal_the_obvious_loop(case in cases()) {
        let Case { shape, chunk, axes, dtype, op, seed } = case;
        let elements = random_elements(dtype, shape.iter().product(), seed);
        let set = AxisSet::new(&axes, shape.len()).unwrap();
        let plan = Reduction::new(op, dtype, &Shape::new(&shape).unwrap(), &set, KeepDims::Yes).unwrap();
        let out_shape = plan.out_shape().to_vec();
        let mut cells = vec![[vec![], vec![]]; out_shape.iter().product()];
        for (i, [re, im]) in numbers(dtype, &elements).into_iter().enumerate() {
            let at: Vec<usize> = position(&shape, i).iter().zip(&out_shape).map(|(a, n)| a % n).collect();
            let cell = &mut cells[flat(&out_shape, &at)];
            cell[0].push(re);
            cell[1].push(im);
        }
        let whole = reduce(&plan, &elements, &shape, &vec![usize::MAX / 2; shape.len()]);
        let split = reduce(&plan, &elements, &shape, &chunk);
        for result in [&whole, &split] {
            let got = numbers(result.0, &result.2);
            prop_assert_eq!(got.len(), cells.len());
            for (g, cell) in got.iter().zip(&cells) {
                let parts = if result.0.number_size() < result.0.itemsize() { 2 } else { 1 };
                for (g, x) in g.iter().zip(cell).take(parts) {
                    let n = if op == Op::Mean { x.len() as f64 } else { 1.0 };
                    let want = exact_sum(x) / n;
                    let result_digits = match result.0 {
                        Dtype::Float16 => 2f64.powi(-11),
                        Dtype::BFloat16 => 2f64.powi(-8),
                        Dtype::Float32 | Dtype::Complex64 => 2f64.powi(-24),
                        _ => 2f64.powi(-53),
                    };
                    let bound = 22.0 * 2f64.powi(-53) * x.iter().map(|v| v.abs()).sum::<f64>() / n
                        + 1.01 * result_digits * want.abs() + 6e-8 * f64::from(u8::from(result.0 == Dtype::Float16));
                    let overflows = result.0 == Dtype::Float16 && want.abs() > 65500.0;
                    let ok = (g - want).abs() <= bound || (g.is_nan() && want.is_nan()) || overflows;
                    prop_assert!(ok, "{} for {}", g, want);
                    prop_assert!(dtype.is_inexact() || *g == want || want.is_nan(), "{} for {}", g, want);
                }
            }
        }
        if !dtype.is_inexact() {
            prop_assert_eq!(whole.2, split.2);
        }
    }

    /// Partials made apart and merged in chunk order, and the same grid again, give the same bits.
    #[test]
    fn merging_partials_gives_the_bits_of_one_thread(case in cases()) {
        let Case { shape, chunk, axes, dtype, op, seed } = case;
        let elements = random_elements(dtype, shape.iter().product(), seed);
        let set = AxisSet::new(&axes, shape.len()).unwrap();
        let plan = Reduction::new(op, dtype, &Shape::new(&shape).unwrap(), &set, KeepDims::No).unwrap();
        let mut partials = Vec::new();
        each_block(&shape, &chunk, &mut |len, offset| {
            partials.push(plan.partial(&cut(&elements, dtype.itemsize(), &shape, len, offset), None, len, offset).unwrap());
        });
        let mut state = plan.start().unwrap();
        partials.iter().for_each(|p| state.merge(p));
        prop_assert_eq!(state.finish().unwrap(), reduce(&plan, &elements, &shape, &chunk));
    }

    /// A constant block gives the bits of its elements written out.
    #[test]
    fn a_fill_block_is_its_elements_written_out(case in cases()) {
        let Case { shape, chunk, axes, dtype, op, seed } = case;
        let value = Scalar::from_le_bytes(dtype, &random_elements(dtype, 1, seed));
        let elements = value.to_le_bytes()[..dtype.itemsize()].repeat(shape.iter().product());
        let set = AxisSet::new(&axes, shape.len()).unwrap();
        let plan = Reduction::new(op, dtype, &Shape::new(&shape).unwrap(), &set, KeepDims::No).unwrap();
        let mut state = plan.start().unwrap();
        let mut mixed = plan.start().unwrap();
        let mut turn = false;
        each_block(&shape, &chunk, &mut |len, offset| {
            state.add_fill(&value, None, len, offset).unwrap();
            turn = !turn;
            if turn {
                mixed.merge(&plan.partial_fill(&value, None, len, offset).unwrap());
            } else {
                mixed.add_block(&cut(&elements, dtype.itemsize(), &shape, len, offset), None, len, offset).unwrap();
            }
        });
        let want = reduce(&plan, &elements, &shape, &chunk);
        prop_assert_eq!(&state.finish().unwrap(), &want);
        prop_assert_eq!(&mixed.finish().unwrap(), &want);
    }
}

#[test]
fn long_fills_are_cut_where_the_loops_allow_it() {
    for (shape, axis) in [([3, 10_007], 1), ([10_007, 3], 0)] {
        let value = Scalar::of(0.1f64);
        let elements = 0.1f64.to_le_bytes().repeat(30_021);
        let axes = AxisSet::new(&[axis], 2).unwrap();
        let plan = Reduction::new(Op::Sum, Dtype::Float64, &Shape::from(shape), &axes, KeepDims::No).unwrap();
        let mut state = plan.start().unwrap();
        state.add_fill(&value, None, &shape, &[0, 0]).unwrap();
        assert_eq!(state.finish().unwrap(), reduce(&plan, &elements, &shape, &shape));
    }
}
