//! The one list of element types: their names, sizes, Rust types, and `dispatch!`, which turns a
//! run-time [`Dtype`] into a compile-time type once per call.

use std::fmt;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::error::{quoted, Error, Result};

/// One byte that is false when 0 and true otherwise; arrays hold only 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Bool8(pub u8);

impl Bool8 {
    /// The byte as a truth value.
    pub fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool8 {
    fn from(b: bool) -> Bool8 {
        Bool8(u8::from(b))
    }
}

/// A Rust type that stands for one [`Dtype`]: plain bytes, little-endian in memory and on every wire.
pub trait Element: Pod + PartialEq + Default + Send + Sync + fmt::Debug {
    /// The dtype this type stands for.
    const DTYPE: Dtype;
}

/// How many bytes make one number whose order can be swapped, and what kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `uint8` to `uint64`
    Unsigned,
    /// `int8` to `int64`
    Signed,
    /// `float16`, `bfloat16`, `float32`, `float64`
    Float,
    /// `complex64`, `complex128`
    Complex,
}

/// The order of the bytes of one number, as a typestring says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first: how elements are stored and answered.
    Little,
    /// Most significant byte first: accepted on input, swapped once.
    Big,
}

macro_rules! dtypes {
    ($($variant:ident $code:literal $rust:ty, $name:literal, $kind:ident, $descr:literal, [$($alias:literal),*];)*) => {
        /// An element type. The numbers are part of the stored format and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Dtype { $(#[doc = concat!("`", $name, "`")] $variant = $code,)* }

        $(impl Element for $rust { const DTYPE: Dtype = Dtype::$variant; })*

        impl Dtype {
            /// Every dtype, in the order the documentation lists them.
            pub const ALL: &'static [Dtype] = &[$(Dtype::$variant),*];

            /// The long NumPy name, as replies use it.
            pub const fn name(self) -> &'static str {
                match self { $(Dtype::$variant => $name,)* }
            }

            /// Bytes of one element.
            #[inline]
            pub const fn itemsize(self) -> usize {
                match self { $(Dtype::$variant => std::mem::size_of::<$rust>(),)* }
            }

            /// What kind of number it is.
            pub const fn kind(self) -> Kind {
                match self { $(Dtype::$variant => Kind::$kind,)* }
            }

            /// NumPy's typestring (`<f4`), little-endian; `None` for bfloat16, which NumPy does not know.
            pub const fn typestring(self) -> Option<&'static str> {
                let s: &'static str = match self { $(Dtype::$variant => $descr,)* };
                if s.is_empty() { None } else { Some(s) }
            }

            /// The dtype of a stored code.
            pub fn from_code(code: u8) -> Option<Dtype> {
                match code { $($code => Some(Dtype::$variant),)* _ => None }
            }

            /// The dtype of a long name.
            #[inline]
            pub fn from_name(name: &[u8]) -> Option<Dtype> {
                $(if name == $name.as_bytes() { return Some(Dtype::$variant); })*
                None
            }

            fn from_lower_name(name: &[u8]) -> Option<Dtype> {
                $(if name == $name.as_bytes() $(|| name == $alias.as_bytes())* { return Some(Dtype::$variant); })*
                None
            }
        }
    };
}

dtypes! {
    Bool 0 Bool8, "bool", Bool, "|b1", ["b1", "?", "bool_", "bool8"];
    Int8 1 i8, "int8", Signed, "|i1", ["i1", "b", "byte"];
    Int16 2 i16, "int16", Signed, "<i2", ["i2", "h", "short"];
    Int32 3 i32, "int32", Signed, "<i4", ["i4", "i", "intc"];
    Int64 4 i64, "int64", Signed, "<i8", ["i8", "q", "l", "p", "int", "int_", "long", "longlong", "intp"];
    UInt8 5 u8, "uint8", Unsigned, "|u1", ["u1", "ubyte"];
    UInt16 6 u16, "uint16", Unsigned, "<u2", ["u2", "ushort"];
    UInt32 7 u32, "uint32", Unsigned, "<u4", ["u4", "uintc"];
    UInt64 8 u64, "uint64", Unsigned, "<u8", ["u8", "uint", "ulong", "ulonglong", "uintp"];
    Float16 9 f16, "float16", Float, "<f2", ["f2", "e", "half"];
    BFloat16 10 bf16, "bfloat16", Float, "", ["bf16"];
    Float32 11 f32, "float32", Float, "<f4", ["f4", "f", "single"];
    Float64 12 f64, "float64", Float, "<f8", ["f8", "d", "float", "double"];
    Complex64 13 Complex32, "complex64", Complex, "<c8", ["c8", "csingle"];
    Complex128 14 Complex64, "complex128", Complex, "<c16", ["c16", "complex", "cdouble"];
}

/// Runs `$body` with `$T` standing for the Rust type of a run-time [`Dtype`].
///
/// Called once per operation, outside loops: each use makes fifteen copies of its body.
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::nd::dtype::Dtype::Bool => {
                type $T = $crate::nd::dtype::Bool8;
                $body
            }
            $crate::nd::dtype::Dtype::Int8 => {
                type $T = i8;
                $body
            }
            $crate::nd::dtype::Dtype::Int16 => {
                type $T = i16;
                $body
            }
            $crate::nd::dtype::Dtype::Int32 => {
                type $T = i32;
                $body
            }
            $crate::nd::dtype::Dtype::Int64 => {
                type $T = i64;
                $body
            }
            $crate::nd::dtype::Dtype::UInt8 => {
                type $T = u8;
                $body
            }
            $crate::nd::dtype::Dtype::UInt16 => {
                type $T = u16;
                $body
            }
            $crate::nd::dtype::Dtype::UInt32 => {
                type $T = u32;
                $body
            }
            $crate::nd::dtype::Dtype::UInt64 => {
                type $T = u64;
                $body
            }
            $crate::nd::dtype::Dtype::Float16 => {
                type $T = half::f16;
                $body
            }
            $crate::nd::dtype::Dtype::BFloat16 => {
                type $T = half::bf16;
                $body
            }
            $crate::nd::dtype::Dtype::Float32 => {
                type $T = f32;
                $body
            }
            $crate::nd::dtype::Dtype::Float64 => {
                type $T = f64;
                $body
            }
            $crate::nd::dtype::Dtype::Complex64 => {
                type $T = num_complex::Complex32;
                $body
            }
            $crate::nd::dtype::Dtype::Complex128 => {
                type $T = num_complex::Complex64;
                $body
            }
        }
    };
}
pub(crate) use dispatch;

/// The upper-case one-letter names of NumPy that differ from the lower-case one: text of one byte is read by case.
const UPPER_CHARS: &[(u8, Dtype)] = &[
    (b'B', Dtype::UInt8),
    (b'H', Dtype::UInt16),
    (b'I', Dtype::UInt32),
    (b'L', Dtype::UInt64),
    (b'Q', Dtype::UInt64),
    (b'P', Dtype::UInt64),
    (b'F', Dtype::Complex64),
    (b'D', Dtype::Complex128),
];

impl Dtype {
    /// Reads a dtype as an argument may give it: the long name, NumPy's short names and typestrings, any case.
    ///
    /// Answers the byte order too: `>` in front means big-endian elements (one-byte types have no order).
    ///
    /// # Errors
    /// `DTYPE` with the list of names.
    pub fn parse(text: &[u8]) -> Result<(Dtype, ByteOrder)> {
        match Dtype::from_name(text) {
            Some(dtype) => Ok((dtype, ByteOrder::Little)), // what most clients send
            None => Dtype::parse_any(text),
        }
    }

    fn parse_any(text: &[u8]) -> Result<(Dtype, ByteOrder)> {
        let unknown = || Error::UnknownDtype { given: quoted(text), or: &[] };
        let (order, name) = match text.split_first() {
            Some((b'<' | b'|' | b'=', rest)) => (ByteOrder::Little, rest),
            Some((b'>', rest)) => (ByteOrder::Big, rest),
            _ => (ByteOrder::Little, text),
        };
        let mut lower = [0u8; 16];
        // NumPy's `U4` is text of four characters, not uint32 in capitals.
        if name.len() > lower.len() || matches!(name, [b'U', b'0'..=b'9', ..]) {
            return Err(unknown());
        }
        let lower = &mut lower[..name.len()];
        lower.copy_from_slice(name);
        if let [c] = lower {
            if let Some((_, d)) = UPPER_CHARS.iter().find(|(u, _)| u == c) {
                return Ok((*d, order));
            }
        }
        lower.make_ascii_lowercase();
        let dtype = Dtype::from_lower_name(lower).ok_or_else(unknown)?;
        Ok((dtype, if dtype.itemsize() == 1 { ByteOrder::Little } else { order }))
    }

    /// The least and greatest value of an integer dtype.
    pub fn integer_range(self) -> Option<(i128, i128)> {
        let bits = 8 * self.itemsize() as u32;
        match self.kind() {
            Kind::Signed => Some((-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)),
            Kind::Unsigned => Some((0, (1i128 << bits) - 1)),
            _ => None,
        }
    }

    /// Bytes of one number within an element: half an element for complex, the element otherwise.
    pub const fn number_size(self) -> usize {
        match self.kind() {
            Kind::Complex => self.itemsize() / 2,
            _ => self.itemsize(),
        }
    }

    /// Whether elements are `float*`, `bfloat16` or `complex*`.
    pub const fn is_inexact(self) -> bool {
        matches!(self.kind(), Kind::Float | Kind::Complex)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reverses the bytes of every `size`-byte number of `bytes` in place (big-endian to little-endian and back).
pub fn swap_bytes(bytes: &mut [u8], size: usize) {
    fn swap<const N: usize>(bytes: &mut [u8]) {
        for number in bytes.as_chunks_mut::<N>().0 {
            number.reverse();
        }
    }
    match size {
        2 => swap::<2>(bytes),
        4 => swap::<4>(bytes),
        8 => swap::<8>(bytes),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_typestring_reads_back() {
        for &d in Dtype::ALL {
            assert_eq!(Dtype::parse(d.name().as_bytes()).unwrap(), (d, ByteOrder::Little));
            assert_eq!(Dtype::parse(d.name().to_uppercase().as_bytes()).unwrap().0, d);
            assert_eq!(Dtype::from_code(d as u8), Some(d));
            if let Some(t) = d.typestring() {
                assert_eq!(Dtype::parse(t.as_bytes()).unwrap(), (d, ByteOrder::Little));
            }
            dispatch!(d, T => assert_eq!(<T as Element>::DTYPE, d));
        }
        assert_eq!(Dtype::from_code(15), None);
    }

    #[test]
    fn numpy_aliases_read_as_numpy_reads_them() {
        for (text, d) in [
            ("f4", Dtype::Float32),
            ("<f4", Dtype::Float32),
            ("|u1", Dtype::UInt8),
            ("half", Dtype::Float16),
            ("double", Dtype::Float64),
            ("B", Dtype::UInt8),
            ("b", Dtype::Int8),
            ("?", Dtype::Bool),
            ("D", Dtype::Complex128),
            ("d", Dtype::Float64),
            ("e", Dtype::Float16),
        ] {
            assert_eq!(Dtype::parse(text.as_bytes()).unwrap().0, d, "{text}");
        }
        assert_eq!(Dtype::parse(b">i2").unwrap(), (Dtype::Int16, ByteOrder::Big));
        assert_eq!(Dtype::parse(b">u1").unwrap(), (Dtype::UInt8, ByteOrder::Little));
    }

    #[test]
    fn err_names_outside_the_list_are_refused() {
        for bad in
            ["", "O", "object", "int33", "S10", "U4", "M8[ns]", "float128", "V8", "<", "complex256", "bfloat", "f4 "]
        {
            assert!(Dtype::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
