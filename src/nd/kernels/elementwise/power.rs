//! Powers, from a library of plain arithmetic: the same bits on every machine, where a platform's own differ.
//!
//! What is exact by a shorter way goes that way: squares, reciprocals, the exponents 0 and 1.

use num_complex::Complex64;

/// `a ** b` of float64.
pub(super) fn f64(a: f64, b: f64) -> f64 {
    if b == 2.0 {
        a * a
    } else if b == -1.0 {
        1.0 / a
    } else {
        libm::pow(a, b)
    }
}

/// `a ** b` of float32: computed in float64, and so right to the last bit but for rare halves.
pub(super) fn f32(a: f32, b: f32) -> f32 {
    f64(f64::from(a), f64::from(b)) as f32
}

/// `a ** b` of complex numbers, by NumPy's steps: 0 and small whole exponents by multiplication, the rest by logarithm.
pub(super) fn complex(a: Complex64, b: Complex64) -> Complex64 {
    if b.re == 0.0 && b.im == 0.0 {
        return Complex64::new(1.0, 0.0);
    }
    if a.re == 0.0 && a.im == 0.0 {
        return match b.re > 0.0 && b.im == 0.0 {
            true => Complex64::new(0.0, 0.0),
            // 0 ** z has no answer for other z.
            false => Complex64::new(f64::NAN, f64::NAN),
        };
    }
    if b.im == 0.0 && b.re.fract() == 0.0 && b.re.abs() < 100.0 {
        return whole(a, b.re as i32); // below 100
    }
    // exp(b * log(a))
    let (log_r, angle) = (libm::log(libm::hypot(a.re, a.im)), libm::atan2(a.im, a.re));
    let (re, im) = (b.re * log_r - b.im * angle, b.re * angle + b.im * log_r);
    let r = libm::exp(re);
    Complex64::new(r * libm::cos(im), r * libm::sin(im))
}

/// By squaring; a negative exponent is the reciprocal of the power.
fn whole(a: Complex64, n: i32) -> Complex64 {
    let multiply = |x: Complex64, y: Complex64| Complex64::new(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re);
    match n {
        1 => return a,
        2 => return multiply(a, a),
        3 => return multiply(a, multiply(a, a)),
        _ => {}
    }
    let (mut base, mut left, mut result) = (a, n.unsigned_abs(), Complex64::new(1.0, 0.0));
    while left > 0 {
        if left & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        left >>= 1;
    }
    if n < 0 {
        super::ops::Arithmetic::div(Complex64::new(1.0, 0.0), result)
    } else {
        result
    }
}
