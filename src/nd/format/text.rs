//! Arrays as text for a person: character for character what `numpy.array2string(a)` prints by default.
//!
//! Precision 8, edge items 3, lines of 75 characters, summarised with `...` above 1,000 elements. One format is chosen for
//! all elements shown: fixed or scientific by the largest and smallest magnitude, as wide as the widest. Digits are the
//! shortest that read back to the same value of the same dtype, cut (and correctly rounded, ties to even) at the precision.
//! bfloat16, which NumPy does not know, follows the same rules with its own digits and limits.
//!
//! Only the elements shown are asked for, and nothing is asked for when the text would be longer than the caller wants:
//! shape (2, 2, … 2) of rank 30 is never summarised, because no axis is longer than its two edges.

use std::fmt::Write;

use super::reserve;
use crate::nd::digits::Digits;
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::{Number, Scalar};
use crate::nd::shape::Shape;

const PRECISION: usize = 8;
const THRESHOLD: usize = 1000;
const EDGE_ITEMS: usize = 3;
const LINE_WIDTH: usize = 75;
const SUMMARY: &str = "...";

/// The text of an array whose element at each flat C-order position `element` answers, at most `max_bytes` long.
///
/// # Errors
/// `LIMIT` where the text would be longer; whatever `element` refuses.
pub fn array2string(
    dtype: Dtype,
    shape: &Shape,
    element: &mut dyn FnMut(usize) -> Result<Scalar>,
    max_bytes: usize,
) -> Result<String> {
    if shape.contains(&0) {
        return Ok("[]".to_owned());
    }
    let layout = Layout::new(shape);
    // Every element takes a character and what separates it.
    check(layout.shown().saturating_mul(2).saturating_sub(1), max_bytes)?;
    let shown = layout.collect(dtype, element)?;
    let numbers = || shown.chunks_exact(dtype.itemsize()).map(|bytes| Scalar::from_le_bytes(dtype, bytes).number());
    let format = Format::new(dtype, shape, &numbers);
    let mut printer = Printer { layout: &layout, format, numbers: &mut numbers(), out: String::new(), max_bytes };
    printer.axis(0)?;
    check(printer.out.len() as u128, max_bytes)?;
    Ok(printer.out)
}

fn check(bytes: u128, max_bytes: usize) -> Result<()> {
    if bytes > max_bytes as u128 {
        return Err(Error::Limit { what: "the text", given: bytes, limit: max_bytes as u128, unit: "bytes" });
    }
    Ok(())
}

/// Which positions are shown.
struct Layout<'a> {
    shape: &'a Shape,
    summarised: bool,
}

impl<'a> Layout<'a> {
    fn new(shape: &'a Shape) -> Layout<'a> {
        Layout { shape, summarised: shape.len_or_max() > THRESHOLD }
    }

    /// Whether the middle of this axis is left out.
    fn is_cut(&self, len: usize) -> bool {
        self.summarised && len > 2 * EDGE_ITEMS
    }

    /// How many elements are shown.
    fn shown(&self) -> u128 {
        let on_axis = |&d: &usize| if self.is_cut(d) { 2 * EDGE_ITEMS } else { d };
        self.shape.iter().fold(1, |n: u128, d| n.saturating_mul(on_axis(d) as u128))
    }

    /// The bytes of the elements shown, in C order.
    fn collect(&self, dtype: Dtype, element: &mut dyn FnMut(usize) -> Result<Scalar>) -> Result<Vec<u8>> {
        let shown = usize::try_from(self.shown()).unwrap_or(usize::MAX);
        let mut out = reserve(shown.saturating_mul(dtype.itemsize()))?;
        let strides = self.shape.c_strides();
        let mut index = vec![0usize; self.shape.ndim()];
        loop {
            let flat = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
            out.extend_from_slice(&element(flat)?.to_le_bytes()[..dtype.itemsize()]);
            let mut axis = index.len();
            loop {
                let Some(next) = axis.checked_sub(1) else { return Ok(out) };
                axis = next;
                index[axis] += 1;
                let len = self.shape[axis];
                if self.is_cut(len) && index[axis] == EDGE_ITEMS {
                    index[axis] = len - EDGE_ITEMS;
                }
                if index[axis] < len {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

/// Writes brackets, line breaks and elements, axis by axis. Recursion is as deep as the rank, at most 64.
struct Printer<'a, I> {
    layout: &'a Layout<'a>,
    format: Format,
    numbers: &'a mut I,
    out: String,
    max_bytes: usize,
}

impl<I: Iterator<Item = Number>> Printer<'_, I> {
    fn axis(&mut self, axis: usize) -> Result<()> {
        let shape = self.layout.shape;
        let Some(&len) = shape.get(axis) else {
            self.element();
            return Ok(());
        };
        let cut = self.layout.is_cut(len);
        let edges = if cut { 2 * EDGE_ITEMS } else { len };
        self.out.push('[');
        if axis + 1 == shape.ndim() {
            self.row(axis, edges, cut);
        } else {
            for i in 0..edges {
                if i > 0 {
                    self.new_row(axis);
                }
                if cut && i == EDGE_ITEMS {
                    self.out.push_str(SUMMARY);
                    self.new_row(axis);
                }
                self.axis(axis + 1)?;
            }
        }
        self.out.push(']');
        check(self.out.len() as u128, self.max_bytes)
    }

    /// Begins the next list of lists: one line break per axis that it closes, then the indent.
    fn new_row(&mut self, axis: usize) {
        let breaks = self.layout.shape.ndim() - axis - 1;
        self.out.extend(std::iter::repeat_n('\n', breaks));
        self.indent(axis);
    }

    fn indent(&mut self, axis: usize) {
        self.out.extend(std::iter::repeat_n(' ', axis + 1));
    }

    /// The elements along the last axis, wrapped.
    fn row(&mut self, axis: usize, edges: usize, cut: bool) {
        let indent = axis + 1;
        // One character for each bracket that may close here.
        let width = LINE_WIDTH - indent;
        let mut line = indent;
        for i in 0..edges {
            if cut && i == EDGE_ITEMS {
                self.word(axis, width, &mut line, |p| p.out.push_str(SUMMARY));
                self.separator(&mut line);
            }
            self.word(axis, width, &mut line, Self::element);
            if i + 1 < edges {
                self.separator(&mut line);
            }
        }
    }

    fn separator(&mut self, line: &mut usize) {
        self.out.push(' ');
        *line += 1;
    }

    /// Writes one word; moves it to a new line where it does not fit and is not the first of its line.
    fn word(&mut self, axis: usize, width: usize, line: &mut usize, write: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        write(self);
        let len = self.out.len() - start; // ASCII: bytes are characters
        if *line + len > width && *line > axis + 1 {
            let word = self.out.split_off(start);
            self.out.truncate(self.out.trim_end_matches(' ').len());
            self.out.push('\n');
            self.indent(axis);
            self.out.push_str(&word);
            *line = axis + 1;
        }
        *line += len;
    }

    fn element(&mut self) {
        // As many numbers were collected as positions are shown.
        if let Some(number) = self.numbers.next() {
            self.format.write(number, &mut self.out);
        }
    }
}

/// How the elements of one array are written.
enum Format {
    Bool { padded: bool },
    Int { width: usize },
    Float(FloatFormat),
    Complex { re: FloatFormat, im: FloatFormat },
}

impl Format {
    fn new<N: Iterator<Item = Number>>(dtype: Dtype, shape: &Shape, numbers: &dyn Fn() -> N) -> Format {
        match dtype.kind() {
            Kind::Bool => Format::Bool { padded: shape.ndim() > 0 },
            Kind::Signed | Kind::Unsigned => {
                let ends = numbers().filter_map(|n| if let Number::Int(i) = n { Some(i) } else { None });
                let (lo, hi) = ends.fold((i128::MAX, i128::MIN), |(lo, hi), i| (lo.min(i), hi.max(i)));
                Format::Int { width: lo.to_string().len().max(hi.to_string().len()) }
            }
            Kind::Float => Format::Float(FloatFormat::new(dtype, Sign::Negative, &|| numbers().map(|n| parts(n).0))),
            Kind::Complex => Format::Complex {
                re: FloatFormat::new(dtype, Sign::Negative, &|| numbers().map(|n| parts(n).0)),
                im: FloatFormat::new(dtype, Sign::Both, &|| numbers().map(|n| parts(n).1)),
            },
        }
    }

    fn write(&self, number: Number, out: &mut String) {
        // Writing into a String cannot fail.
        let _ = match (self, number) {
            (Format::Bool { .. }, Number::Bool(false)) => out.write_str("False"),
            (Format::Bool { padded: true }, _) => out.write_str(" True"),
            (Format::Bool { padded: false }, _) => out.write_str("True"),
            (Format::Int { width }, Number::Int(i)) => write!(out, "{i:width$}"),
            (Format::Float(f), n) => {
                f.write(parts(n).0, "", out);
                Ok(())
            }
            (Format::Complex { re, im }, n) => {
                re.write(parts(n).0, "", out);
                im.write(parts(n).1, "j", out);
                Ok(())
            }
            (Format::Int { .. }, _) => Ok(()),
        };
    }
}

/// The real and imaginary part.
fn parts(n: Number) -> (f64, f64) {
    match n {
        Number::Complex(c) => (c.re, c.im),
        real => (real.as_f64().unwrap_or(f64::NAN), 0.0),
    }
}

/// Which numbers carry a sign.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Negative,
    Both,
}

/// How floats are written: `left` characters before the point and `right` behind it, or scientific with `right` digits
/// and an exponent of `exponent` digits.
struct FloatFormat {
    dtype: Dtype,
    sign: Sign,
    left: usize,
    right: usize,
    exponent: Option<usize>,
}

impl FloatFormat {
    fn new<N: Iterator<Item = f64>>(dtype: Dtype, sign: Sign, values: &dyn Fn() -> N) -> FloatFormat {
        let finite = || values().filter(|x| x.is_finite());
        let mut format = FloatFormat { dtype, sign, left: 0, right: 0, exponent: None };
        if is_scientific(dtype, finite()) {
            let mut exponent = 0;
            for x in finite() {
                let s = Scientific::shortest(x, dtype);
                format.left = format.left.max(1 + format.signs(x));
                format.right = format.right.max(s.fraction.len());
                exponent = exponent.max(s.exponent_digits());
            }
            format.exponent = Some(exponent);
        } else {
            for x in finite() {
                let (whole, fraction) = positional(x, dtype);
                format.left = format.left.max(whole.len() + format.signs(x));
                format.right = format.right.max(fraction.len());
            }
        }
        if values().any(|x| !x.is_finite()) {
            let signed = sign == Sign::Both || values().any(|x| x == f64::NEG_INFINITY);
            let behind = format.behind() + 1;
            format.left = format.left.max((3 + usize::from(signed)).saturating_sub(behind));
        }
        format
    }

    /// Characters behind the point.
    fn behind(&self) -> usize {
        self.right + self.exponent.map_or(0, |digits| digits + 2)
    }

    fn width(&self) -> usize {
        self.left + 1 + self.behind()
    }

    fn signs(&self, x: f64) -> usize {
        usize::from(x.is_sign_negative() || self.sign == Sign::Both)
    }

    fn sign_of(&self, x: f64) -> &'static str {
        match self.sign {
            _ if x.is_sign_negative() && !x.is_nan() => "-",
            Sign::Both => "+",
            Sign::Negative => "",
        }
    }

    /// Writes `x` and `unit` (the `j` of imaginary parts), which stands before the blanks that pad on the right.
    fn write(&self, x: f64, unit: &str, out: &mut String) {
        let sign = self.sign_of(x);
        // Writing into a String cannot fail.
        let _ = if !x.is_finite() {
            let name = if x.is_nan() { "nan" } else { "inf" };
            write!(out, "{:>width$}{name}{unit}", sign, width = self.width().saturating_sub(3))
        } else if let Some(exponent) = self.exponent {
            let Scientific { whole, fraction, exponent: e } = Scientific::padded(x, self.dtype, self.right);
            let left = self.left.saturating_sub(1);
            let e_sign = if e < 0 { '-' } else { '+' };
            write!(out, "{sign:>left$}{whole}.{fraction}e{e_sign}{:0exponent$}{unit}", e.unsigned_abs())
        } else {
            let (whole, fraction) = positional(x, self.dtype);
            let left = self.left.saturating_sub(whole.len());
            let blanks = self.right.saturating_sub(fraction.len());
            write!(out, "{sign:>left$}{whole}.{fraction}{unit}{:blanks$}", "")
        };
    }
}

/// The dtype of one part.
fn part(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Complex64 => Dtype::Float32,
        Dtype::Complex128 => Dtype::Float64,
        real => real,
    }
}

/// Whether the scientific form is used: by the largest and smallest magnitude but zero, compared as the dtype compares.
fn is_scientific(dtype: Dtype, finite: impl Iterator<Item = f64>) -> bool {
    let magnitudes = finite.filter(|x| *x != 0.0).map(f64::abs);
    let (lo, hi) = magnitudes.fold((f64::INFINITY, 0f64), |(lo, hi), x| (lo.min(x), hi.max(x)));
    // 10 to the decimal digits that the dtype always keeps, at most 8.
    let (dtype, too_large) = match part(dtype) {
        d @ Dtype::BFloat16 => (d, 1e2),
        d @ Dtype::Float16 => (d, 1e3),
        d @ Dtype::Float32 => (d, 1e6),
        d => (d, 1e8),
    };
    let round = |x: f64| match Scalar::new(Number::Float(x), dtype).map(|s| s.number()) {
        Ok(Number::Float(x)) => x,
        _ => x,
    };
    hi > 0.0 && (hi >= too_large || lo < round(0.0001) || round(hi / lo) > 1000.0)
}

/// The digits before and behind the point, of the magnitude: at most eight behind, no zeros at their end.
fn positional(x: f64, dtype: Dtype) -> (String, String) {
    let d = Digits::shortest(x, dtype);
    let digits = d.digits().iter().map(|&c| char::from(c));
    let zeros = |n: i32| std::iter::repeat_n('0', usize::try_from(n).unwrap_or(0));
    let len = d.digits().len() as i32; // at most 20
    if len - 1 - d.exponent > PRECISION as i32 {
        // x is exact in f64, and formatting with a precision is exact, with ties to even
        let text = format!("{:.PRECISION$}", x.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        return (whole.to_owned(), fraction.trim_end_matches('0').to_owned());
    }
    if d.exponent < 0 {
        let fraction: String = zeros(-1 - d.exponent).chain(digits).collect();
        return ("0".to_owned(), fraction.trim_end_matches('0').to_owned());
    }
    let before = d.exponent.unsigned_abs() as usize + 1;
    let whole: String = digits.clone().take(before).chain(zeros(d.exponent + 1 - len)).collect();
    (whole, digits.skip(before).collect())
}

/// `whole.fraction` times ten to the exponent, of the magnitude.
struct Scientific {
    whole: char,
    fraction: String,
    exponent: i32,
}

impl Scientific {
    /// The shortest digits, at most eight behind the point, no zeros at their end.
    fn shortest(x: f64, dtype: Dtype) -> Scientific {
        let d = Digits::shortest(x, dtype);
        if d.digits().len() > PRECISION + 1 {
            let mut exact = Scientific::exact(x, PRECISION);
            exact.fraction.truncate(exact.fraction.trim_end_matches('0').len());
            return exact;
        }
        let mut digits = d.digits().iter().map(|&c| char::from(c));
        Scientific { whole: digits.next().unwrap_or('0'), fraction: digits.collect(), exponent: d.exponent }
    }

    /// As many digits behind the point as asked for: the shortest ones where they are as many, else exact ones.
    fn padded(x: f64, dtype: Dtype, precision: usize) -> Scientific {
        let shortest = Scientific::shortest(x, dtype);
        if shortest.fraction.len() == precision {
            return shortest;
        }
        Scientific::exact(x, precision)
    }

    fn exact(x: f64, precision: usize) -> Scientific {
        let text = format!("{:.precision$e}", x.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Scientific {
            whole: whole.chars().next().unwrap_or('0'),
            fraction: fraction.to_owned(),
            exponent: exponent.parse().unwrap_or(0),
        }
    }

    fn exponent_digits(&self) -> usize {
        if self.exponent.abs() >= 100 {
            3
        } else {
            2
        }
    }
}
