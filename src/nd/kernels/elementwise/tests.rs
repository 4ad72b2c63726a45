//! Corners of each operator; tests/oracle compares the rest with NumPy.

use super::*;
use crate::nd::kernels::aligned::Aligned;
use crate::nd::scalar::ScalarElement;

/// `a op b` of one element, through both kernels.
fn compute<T: ScalarElement>(operator: Operator, a: T, b: T) -> T {
    let mut results = Vec::new();
    let value = Aligned::new(bytemuck::bytes_of(&b));
    for way in 0..3 {
        let mut target = Aligned::new(bytemuck::bytes_of(&a));
        match way {
            0 => operator.apply(T::DTYPE, &mut target, Operand::One(&value)),
            1 => operator.apply(T::DTYPE, &mut target, Operand::Each(&value)),
            _ => operator.apply_at(T::DTYPE, &mut target, &value, &[(0, 0)]),
        }
        results.push(target.to_vec());
    }
    assert!(results.iter().all(|r| *r == results[0]), "{operator:?} {a:?} {b:?}");
    bytemuck::pod_read_unaligned(&results[0])
}

#[test]
fn integers_wrap() {
    assert_eq!(compute(Operator::Add, i8::MAX, 1), i8::MIN);
    assert_eq!(compute(Operator::Sub, 0u16, 1), u16::MAX);
    assert_eq!(compute(Operator::Mul, i64::MIN, -1), i64::MIN);
    assert_eq!(compute(Operator::Pow, 3i8, 5), -13);
    assert_eq!(compute(Operator::Pow, 2u64, 64), 0);
    assert_eq!(compute(Operator::Pow, 0i32, 0), 1);
    assert_eq!(compute(Operator::Min, i32::MIN, 0), i32::MIN);
    assert_eq!(compute(Operator::Xor, 0b1100u8, 0b1010), 0b0110);
}

#[test]
fn a_nan_that_comes_out_is_one() {
    let odd = f64::from_bits(0xfff8_0000_0000_0001);
    let inf = f64::INFINITY;
    for (operator, a, b) in [
        (Operator::Add, odd, 1.0),
        (Operator::Sub, inf, inf),
        (Operator::Mul, 0.0, inf),
        (Operator::Div, 0.0, 0.0),
        (Operator::Pow, -1.0, 0.5),
        (Operator::Min, 1.0, odd),
        (Operator::Min, odd, 1.0),
        (Operator::Max, odd, odd),
        (Operator::Pow, -inf, odd),
    ] {
        assert_eq!(compute(operator, a, b).to_bits(), f64::NAN.to_bits(), "{operator:?} {a} {b}");
    }
    assert_eq!(compute(Operator::Pow, f32::NAN, 0.0), 1.0);
    assert_eq!(compute(Operator::Pow, -0.0f64, -1.0), f64::NEG_INFINITY);
    assert_eq!(compute(Operator::Div, 1.0f64, -0.0), f64::NEG_INFINITY);
}

#[test]
fn complex_numbers_divide_order_and_raise_as_numpys() {
    use num_complex::Complex64 as C;
    assert_eq!(compute(Operator::Div, C::new(1.0, 2.0), C::new(3.0, -4.0)), C::new(-0.2, 0.4));
    assert_eq!(compute(Operator::Min, C::new(1.0, 5.0), C::new(1.0, 4.0)), C::new(1.0, 4.0));
    assert_eq!(compute(Operator::Max, C::new(0.0, 9.0), C::new(1.0, -9.0)), C::new(1.0, -9.0));
    let min = compute(Operator::Min, C::new(0.0, 0.0), C::new(1.0, f64::NAN));
    assert!(min.im.is_nan() && min.re == 1.0);
    assert_eq!(compute(Operator::Pow, C::new(1.0, 1.0), C::new(2.0, 0.0)), C::new(0.0, 2.0));
    assert_eq!(compute(Operator::Pow, C::new(0.0, 0.0), C::new(0.0, 0.0)), C::new(1.0, 0.0));
    assert_eq!(compute(Operator::Pow, C::new(0.0, 2.0), C::new(-2.0, 0.0)), C::new(-0.25, 0.0));
    let root = compute(Operator::Pow, C::new(-4.0, 0.0), C::new(0.5, 0.0));
    assert!((root - C::new(0.0, 2.0)).norm() < 1e-15);
}

#[test]
fn dtypes_meet_and_refusals_are_numpys() {
    use Dtype::*;
    for (operator, target, value, meet) in [
        (Operator::Add, Int32, Int64, Some(Int64)),
        (Operator::Add, Float32, Float64, Some(Float64)),
        (Operator::Add, Float16, Int32, Some(Float64)),
        (Operator::Add, Int32, Float32, None),
        (Operator::Add, UInt8, Int8, None),
        (Operator::Add, UInt64, Int64, None),
        (Operator::Add, Float64, Complex64, None),
        (Operator::Add, Bool, Bool, Some(Bool)),
        (Operator::Add, Bool, Int8, None),
        (Operator::Sub, Bool, Bool, None),
        (Operator::Sub, Int8, Bool, Some(Int8)),
        (Operator::Div, Int64, Int64, None),
        (Operator::Div, Float16, Int8, Some(Float16)),
        (Operator::Pow, Bool, Bool, None),
        (Operator::Pow, Int8, Bool, Some(Int8)),
        (Operator::Max, Bool, Bool, Some(Bool)),
        (Operator::And, Float32, Int8, None),
        (Operator::And, Int64, UInt8, Some(Int64)),
        (Operator::Xor, BFloat16, Bool, None),
        (Operator::Mul, BFloat16, Float16, Some(Float32)),
    ] {
        assert_eq!(operator.compute_dtype(target, value).ok(), meet, "{operator:?} {target} {value}");
    }
    let exponents = [1i8, 2, -3].map(|i| i as u8);
    assert!(Operator::Pow.check_values(Int8, &exponents[..2]).is_ok());
    assert!(Operator::Mul.check_values(Int8, &exponents).is_ok());
    let refused = Operator::Pow.check_values(Int8, &exponents).unwrap_err().to_string();
    assert_eq!(refused, "VALUE integers to the negative integer power -3 have no integer answer (use a float array)");
}
