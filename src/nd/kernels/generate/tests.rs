use super::*;
use crate::nd::kernels::aligned::{from_hex, Aligned};
use crate::nd::scalar::Number;
use proptest::prelude::*;

fn number(text: &str) -> Number {
    Number::parse(text.as_bytes()).unwrap()
}

fn recipe(text: &str) -> Recipe {
    let words: Vec<&str> = text.split(' ').collect();
    let seed = || words[3].parse().unwrap();
    match words[0] {
        "ARANGE" => Recipe::Arange { start: number(words[1]), step: number(words[2]) },
        "LINSPACE" => Recipe::Linspace { start: number(words[1]), stop: number(words[2]) },
        "EYE" => Recipe::Eye { k: number(words[1]) },
        "UNIFORM" => Recipe::Uniform { low: number(words[1]), high: number(words[2]), seed: seed() },
        "NORMAL" => Recipe::Normal { mean: number(words[1]), sd: number(words[2]), seed: seed() },
        _ => Recipe::Integers { low: number(words[1]), high: number(words[2]), seed: seed() },
    }
}

/// The whole array, made in pieces of at most `piece` elements.
fn generate(recipe: &Recipe, dtype: Dtype, shape: &Shape, piece: usize) -> Result<Vec<u8>> {
    let mut generator = Generator::new(recipe, dtype, shape)?;
    let mut out = Vec::new();
    let len = shape.checked_size().unwrap();
    for first in (0..len).step_by(piece) {
        let mut part = Aligned::zeroed(piece.min(len - first) * dtype.itemsize());
        generator.fill(first, &mut part);
        out.extend_from_slice(&part);
    }
    Ok(out)
}

#[test]
fn generated_elements_are_numpys_bit_for_bit() {
    let mut checked = 0;
    for line in include_str!("../../../../tests/golden/generate.txt").lines().filter(|l| !l.starts_with('#')) {
        let (head, elements) = line.split_once(" = ").unwrap();
        let mut words = head.splitn(3, ' ');
        let dtype = Dtype::parse(words.next().unwrap().as_bytes()).unwrap().0;
        let shape = Shape::parse(words.next().unwrap().as_bytes()).unwrap();
        let text = words.next().unwrap();
        let want = from_hex(elements);
        for piece in [usize::MAX, 3] {
            let got = generate(&recipe(text), dtype, &shape, piece).unwrap();
            let nan = |b: &[u8]| matches!(Scalar::from_le_bytes(dtype, b).number(), Number::Float(x) if x.is_nan());
            for (i, (g, w)) in got.chunks(dtype.itemsize()).zip(want.chunks(dtype.itemsize())).enumerate() {
                assert!(g == w || (nan(g) && nan(w)), "{head}: element {i} is {g:x?}, NumPy has {w:x?}");
            }
            assert_eq!(got.len(), want.len(), "{head}");
        }
        checked += 1;
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn err_recipes_that_make_no_such_array() {
    let text = |r: &str, dtype, shape: &[usize]| {
        Generator::new(&recipe(r), dtype, &Shape::new(shape).unwrap()).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(
        text("ARANGE 0 100", Dtype::UInt8, &[4]),
        "VALUE 300 cannot be held by uint8 (use an integer from 0 to 255)"
    );
    assert_eq!(text("ARANGE 0 100", Dtype::UInt8, &[3]), "");
    assert_eq!(text("ARANGE 300 1", Dtype::UInt8, &[0]), "");
    assert_eq!(text("ARANGE 0.5 1", Dtype::Int32, &[3]), "VALUE ARANGE of int32 needs whole numbers, 0.5 given");
    assert_eq!(text("ARANGE 0 1", Dtype::Bool, &[3]), "VALUE 2 cannot be held by bool (use true, false, 1 or 0)");
    assert!(text("ARANGE 0 99999999999999999999999999999999999999", Dtype::Int64, &[9]).starts_with("VALUE"));
    assert!(text("ARANGE 1j 1", Dtype::Float32, &[3]).starts_with("VALUE"));
    assert!(text("LINSPACE 0 300", Dtype::Int8, &[3]).starts_with("VALUE"));
    assert!(text("LINSPACE 0 nan", Dtype::Int8, &[3]).starts_with("VALUE"));
    assert_eq!(text("LINSPACE 0 1j", Dtype::Float32, &[3]), "VALUE LINSPACE of float32 needs real numbers");
    assert_eq!(text("EYE 0", Dtype::Float32, &[3]), "VALUE EYE makes arrays of 2 dimensions, 1 given");
    assert_eq!(text("EYE 0.5", Dtype::Float32, &[3, 3]), "VALUE EYE needs a whole number, 0.5 given");
    assert!(text("UNIFORM 1 0 1", Dtype::Float64, &[3]).starts_with("VALUE RANDOM UNIFORM 1.0 0.0:"));
    assert!(text("UNIFORM 0 inf 1", Dtype::Float64, &[3]).starts_with("VALUE"));
    assert!(text("UNIFORM nan 1 1", Dtype::Float64, &[3]).starts_with("VALUE"));
    assert!(text("UNIFORM 0 1 1", Dtype::Int8, &[3]).starts_with("DTYPE RANDOM UNIFORM takes no int8"));
    assert!(text("NORMAL 0 -1 1", Dtype::Float64, &[3]).starts_with("VALUE RANDOM NORMAL 0 -1:"));
    assert_eq!(
        text("INTEGERS 3 3 1", Dtype::UInt8, &[3]),
        "VALUE RANDOM INTEGERS 3 3 of uint8: use lo below hi, from 0 to 256"
    );
    assert!(text("INTEGERS 0 257 1", Dtype::UInt8, &[3]).starts_with("VALUE"));
    assert!(text("INTEGERS 0 2 1", Dtype::Complex64, &[3]).starts_with("DTYPE"));
    assert!(text("ARANGE 0 0", Dtype::UInt8, &[1 << 40, 1 << 40]).starts_with("LIMIT"));
}

#[test]
fn the_last_of_an_integer_linspace_is_exact() {
    let ends = Recipe::Linspace { start: Number::Int(0), stop: Number::Int(i64::MAX.into()) };
    let got = generate(&ends, Dtype::Int64, &Shape::from([5]), 5).unwrap();
    assert_eq!(got[32..], i64::MAX.to_le_bytes());
}

proptest! {
    #[test]
    fn the_size_of_the_pieces_does_not_matter(
        which in 0usize..7, dtype in 0usize..15, rows in 0usize..9, columns in 0usize..90, piece in 1usize..400,
        seed in any::<u64>(),
    ) {
        let (zero, one) = (Number::Int(0), Number::Int(1));
        let recipe = [
            Recipe::Arange { start: zero, step: zero },
            Recipe::Arange { start: one, step: Number::Float(0.5) },
            Recipe::Linspace { start: zero, stop: one },
            Recipe::Eye { k: Number::Int((seed % 7) as i128 - 3) },
            Recipe::Uniform { low: zero, high: one, seed },
            Recipe::Normal { mean: zero, sd: one, seed },
            Recipe::Integers { low: zero, high: one, seed },
        ][which];
        let (dtype, shape) = (Dtype::ALL[dtype], Shape::from([rows, columns]));
        let whole = generate(&recipe, dtype, &shape, usize::MAX);
        prop_assert_eq!(whole, generate(&recipe, dtype, &shape, piece));
    }
}
