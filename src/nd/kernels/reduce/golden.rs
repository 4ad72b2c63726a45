//! NumPy's recorded answers for every reduction with every option, and for quantiles: tests/golden/record_reductions.py.

use super::quantile::{Method, Rank, Ranking};
use super::tests::{dtype, numbers};
use super::{KeepDims, Op, Options, Reduction};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::kernels::aligned::{from_hex, Aligned};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::shape::Shape;

struct Array {
    dtype: Dtype,
    shape: Shape,
    elements: Aligned,
    mask: Vec<u8>,
}

fn bytes(word: &str) -> Vec<u8> {
    if word == "-" {
        Vec::new()
    } else {
        from_hex(word)
    }
}

impl Array {
    fn read(words: &[&str]) -> Array {
        let shape = Shape::parse(words[2].as_bytes()).unwrap();
        let mask = bytes(words[5]);
        // A mask's axes are the array's last ones.
        let mask = if mask.is_empty() { mask } else { mask.iter().copied().cycle().take(shape.len_or_max()).collect() };
        Array { dtype: dtype(words[1]), shape, elements: Aligned::new(&bytes(words[3])), mask }
    }

    fn answer(&self, name: &str, axes: &AxisSet, options: &Options) -> Result<(Dtype, Shape, Vec<u8>)> {
        let mask = options.is_masked.then_some(&self.mask[..]);
        let zero = vec![0; self.shape.ndim()];
        let rank = match name.split(':').collect::<Vec<_>>()[..] {
            ["MEDIAN"] => Some(Rank::Median),
            ["QUANTILE", q, method] => {
                let methods = [
                    ("linear", Method::Linear),
                    ("lower", Method::Lower),
                    ("higher", Method::Higher),
                    ("midpoint", Method::Midpoint),
                    ("nearest", Method::Nearest),
                ];
                let method = methods.into_iter().find(|(m, _)| *m == method).unwrap().1;
                Some(Rank::quantiles(q.as_bytes(), method)?)
            }
            _ => None,
        };
        if let Some(rank) = rank {
            let mut ranked = Ranking::new(rank, self.dtype, &self.shape, axes, options)?.start()?;
            ranked.add_block(&self.elements, mask, &self.shape, &zero)?;
            return ranked.finish();
        }
        let op = *Op::ALL.iter().find(|op| op.name() == name).unwrap();
        let mut state = Reduction::with(op, self.dtype, &self.shape, axes, options)?.start()?;
        state.add_block(&self.elements, mask, &self.shape, &zero)?;
        state.finish()
    }
}

#[test]
fn every_reduction_answers_as_numpy_did() {
    let mut array = None;
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in include_str!("../../../../tests/golden/options.txt").lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "array" {
            array = Some(Array::read(&words));
            continue;
        }
        let array = array.as_ref().unwrap();
        let axes = AxisSet::parse(words[1].as_bytes(), array.shape.ndim()).unwrap();
        let options = Options {
            keepdims: if words[2] == "1" { KeepDims::Yes } else { KeepDims::No },
            skip_nan: words[3] == "1",
            ddof: words[4].parse().unwrap(),
            dtype: (words[5] != "-").then(|| dtype(words[5])),
            is_masked: words[6] == "1",
        };
        let got = array.answer(words[0], &axes, &options);
        let context = format!("{} {} {line}", array.dtype, array.shape);
        checked += 1;
        if words[7] == "error" {
            assert!(matches!(got, Err(Error::Empty { .. } | Error::Value(_))), "{context}: {got:?}");
            continue;
        }
        let (out, out_shape, got) = got.unwrap_or_else(|e| panic!("{context}: {e}"));
        let want = bytes(words[9]);
        assert_eq!((out, out_shape), (dtype(words[7]), Shape::parse(words[8].as_bytes()).unwrap()), "{context}");
        if !out.is_inexact() {
            assert_eq!(got, want, "{context}");
            continue;
        }
        let digits = match out.number_size() {
            2 => 4e-3,
            4 => 1e-5,
            _ => 1e-12,
        };
        for (g, w) in numbers(out, &got).concat().iter().zip(numbers(out, &want).concat()) {
            let near = (g - w).abs() <= digits * (w.abs() + 40.0);
            if !(near || *g == w || (g.is_nan() && w.is_nan())) {
                wrong.push(format!("{context}: {g} for {w}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 3_900, "{checked}");
}
