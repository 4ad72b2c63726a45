//! Replies, written straight into the server's buffer, in RESP2 and RESP3.

use std::cell::Cell;
use std::ffi::{c_char, c_long};

use redis_module::raw;

use super::error::Refusal;
use super::ffi::{api, c_text};
use crate::nd::dtype::Kind;
use crate::nd::scalar::{Number, Scalar};

/// Where one call's reply goes. A command that answers an error has written nothing before.
pub struct Reply {
    ctx: *mut raw::RedisModuleCtx,
    resp3: Cell<Option<bool>>,
}

impl Reply {
    /// The reply of a call's context, which must outlive it.
    pub fn new(ctx: *mut raw::RedisModuleCtx) -> Reply {
        Reply { ctx, resp3: Cell::new(None) }
    }

    /// The reply of a blocked client, through a context that must outlive it; what it speaks was asked before.
    pub fn of_blocked(ctx: *mut raw::RedisModuleCtx, is_resp3: bool) -> Reply {
        Reply { ctx, resp3: Cell::new(Some(is_resp3)) }
    }

    /// Whether the client speaks RESP3; asked once per call, and only where it matters.
    pub fn is_resp3(&self) -> bool {
        self.resp3.get().unwrap_or_else(|| {
            // SAFETY: the context lives (ffi invariant 1).
            let flags = unsafe { api!(RedisModule_GetContextFlags(self.ctx)) };
            let resp3 = flags as u32 & raw::REDISMODULE_CTX_FLAGS_RESP3 != 0; // a bit set, reinterpreted
            self.resp3.set(Some(resp3));
            resp3
        })
    }

    /// A simple string of the source; text from outside goes out as bulk strings.
    #[inline]
    pub fn simple(&self, text: &'static std::ffi::CStr) {
        // SAFETY: a C string, and a context that lives.
        unsafe { api!(RedisModule_ReplyWithSimpleString(self.ctx, text.as_ptr())) };
    }

    /// `OK`.
    pub fn ok(&self) {
        self.simple(c"OK");
    }

    /// Bytes.
    #[inline]
    pub fn bulk(&self, bytes: &[u8]) {
        // SAFETY: the server copies the bytes before it returns.
        unsafe { api!(RedisModule_ReplyWithStringBuffer(self.ctx, bytes.as_ptr().cast::<c_char>(), bytes.len())) };
    }

    /// Text for a person: a verbatim string in RESP3, a bulk string in RESP2.
    pub fn verbatim(&self, text: &str) {
        // SAFETY: the server copies the bytes before it returns; reading a pointer that is written once.
        match unsafe { raw::RedisModule_ReplyWithVerbatimString } {
            Some(reply) => unsafe {
                reply(self.ctx, text.as_ptr().cast::<c_char>(), text.len());
            },
            None => self.bulk(text.as_bytes()),
        }
    }

    /// Nil.
    #[inline]
    pub fn null(&self) {
        // SAFETY: the context lives.
        unsafe { api!(RedisModule_ReplyWithNull(self.ctx)) };
    }

    /// An integer.
    #[inline]
    pub fn integer(&self, n: i64) {
        // SAFETY: the context lives.
        unsafe { api!(RedisModule_ReplyWithLongLong(self.ctx, n)) };
    }

    /// A size: what is counted in memory fits a signed number.
    pub fn size(&self, n: usize) {
        self.integer(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// The head of a list of `n` elements.
    #[inline]
    pub fn array(&self, n: usize) {
        // SAFETY: the context lives.
        unsafe { api!(RedisModule_ReplyWithArray(self.ctx, n as c_long)) };
    }

    /// The head of a map of `n` pairs; RESP2 sees a list of `2 n` elements.
    pub fn map(&self, n: usize) {
        // SAFETY: the context lives; servers before 7.0 have no maps.
        unsafe {
            match raw::RedisModule_ReplyWithMap {
                Some(map) => map(self.ctx, n as c_long),
                None => api!(RedisModule_ReplyWithArray(self.ctx, 2 * n as c_long)),
            };
        }
    }

    /// A list of lengths.
    pub fn shape(&self, shape: &[usize]) {
        self.array(shape.len());
        shape.iter().for_each(|d| self.size(*d));
    }

    /// An error; the text's first word is its code.
    pub fn error(&self, refusal: &Refusal) {
        let text = c_text(&refusal.to_string());
        // SAFETY: a C string without line ends, and a context that lives.
        unsafe { api!(RedisModule_ReplyWithError(self.ctx, text.as_ptr())) };
    }

    /// A real number: RESP3 double, RESP2 shortest text.
    fn double(&self, x: f64, scalar: &Scalar) {
        match (self.is_resp3(), raw_double()) {
            (true, Some(double)) => {
                // Servers write the sign of a NaN, `,-nan`, which is not RESP3, and which processors differ in.
                let x = if x.is_nan() { f64::NAN } else { x };
                // SAFETY: the context lives.
                unsafe { double(self.ctx, x) };
            }
            _ => self.bulk(scalar.short().to_string().as_bytes()),
        }
    }

    /// One value as the contract's *scalar reply*.
    pub fn scalar(&self, scalar: &Scalar) {
        match scalar.number() {
            Number::Bool(b) => {
                // SAFETY: reading a pointer that is written once, at load; and a context that lives.
                match (self.is_resp3(), unsafe { raw::RedisModule_ReplyWithBool }) {
                    (true, Some(reply)) => unsafe {
                        reply(self.ctx, i32::from(b));
                    },
                    _ => self.integer(i64::from(b)),
                }
            }
            Number::Int(i) => match i64::try_from(i) {
                Ok(i) => self.integer(i),
                Err(_) => self.big_number(&i.to_string()),
            },
            Number::Float(x) => self.double(x, scalar),
            Number::Complex(c) => {
                // The parts of a complex64 are float32 values, and print as such.
                let part = |x: f64| match scalar.dtype().itemsize() {
                    8 => Scalar::of(x as f32), // exact: it came from an f32
                    _ => Scalar::of(x),
                };
                debug_assert_eq!(scalar.dtype().kind(), Kind::Complex);
                self.array(2);
                self.double(c.re, &part(c.re));
                self.double(c.im, &part(c.im));
            }
        }
    }

    /// An integer beyond 64 signed bits: RESP3 big number, RESP2 bulk string.
    fn big_number(&self, digits: &str) {
        // SAFETY: reading a pointer that is written once; the server copies the digits before it returns.
        match (self.is_resp3(), unsafe { raw::RedisModule_ReplyWithBigNumber }) {
            (true, Some(reply)) => unsafe {
                reply(self.ctx, digits.as_ptr().cast::<c_char>(), digits.len());
            },
            _ => self.bulk(digits.as_bytes()),
        }
    }
}

fn raw_double() -> Option<unsafe extern "C" fn(*mut raw::RedisModuleCtx, f64) -> i32> {
    // SAFETY: reading a pointer that is written once, at load.
    unsafe { raw::RedisModule_ReplyWithDouble }
}
