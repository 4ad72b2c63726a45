//! The file formats against bytes recorded from NumPy and pyarrow (`tests/golden/record_formats.py`), and against
//! every truncation and bit flip of them.
//!
//! What is asked of the allocator is watched: the library takes the server's where its pointers are set, and here they are set to
//! functions that pass every call on to the system's.

#![cfg(feature = "module")]

use std::cell::Cell;
use std::ffi::c_void;
use std::path::PathBuf;

use redis_module::raw;
use redis_ndarray::nd::dtype::Dtype;
use redis_ndarray::nd::error::{Error, Result};
use redis_ndarray::nd::format::{arrow, json, npy, npz, text, Dense, Elements};
use redis_ndarray::nd::scalar::{Number, Scalar};
use redis_ndarray::nd::shape::Shape;

thread_local! {
    /// The largest size that this thread asked for.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn watch(size: usize) {
    LARGEST.set(LARGEST.get().max(size));
}

unsafe extern "C" fn alloc(size: usize) -> *mut c_void {
    watch(size);
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(size) }
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    watch(count * size);
    // SAFETY: any size may be asked for.
    unsafe { libc::calloc(count, size) }
}

unsafe extern "C" fn realloc(at: *mut c_void, size: usize) -> *mut c_void {
    watch(size);
    // SAFETY: `at` is of one of these functions, or of the system's allocator, which is the same one.
    unsafe { libc::realloc(at, size) }
}

unsafe extern "C" fn free(at: *mut c_void) {
    // SAFETY: as above.
    unsafe { libc::free(at) }
}

/// Sets the pointers, before the program has a second thread.
extern "C" fn watch_all() {
    // SAFETY: nothing else reads them yet; the functions keep the promises of the server's.
    unsafe {
        raw::RedisModule_TryAlloc = Some(alloc);
        raw::RedisModule_TryCalloc = Some(calloc);
        raw::RedisModule_TryRealloc = Some(realloc);
        raw::RedisModule_Free = Some(free);
    }
}

#[used]
#[link_section = ".init_array"]
static AT_START: extern "C" fn() = watch_all;

#[test]
fn what_is_asked_of_the_allocator_is_seen() {
    LARGEST.set(0);
    let bytes = std::hint::black_box(vec![1u8; 12_345]);
    assert!(LARGEST.get() >= bytes.len(), "{} bytes were seen", LARGEST.get());
}

/// No damaged sample may ask for more at once: samples are a few KiB.
const MOST: usize = 4 << 20;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What a file holds, or the code of its refusal.
type Want = std::result::Result<(Dtype, Shape, Vec<u8>), String>;

/// Every recorded file's name and what is wanted of it.
fn manifest() -> Vec<(String, Want)> {
    let text = String::from_utf8(golden("manifest.txt")).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        let want = match fields[1..] {
            [code] => Err(code.trim_start_matches('!').to_owned()),
            [dtype, shape, hex] => {
                let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
                let bytes = (0..hex.len() / 2).map(byte).collect();
                Ok((Dtype::parse(dtype.as_bytes()).unwrap().0, Shape::parse(shape.as_bytes()).unwrap(), bytes))
            }
            _ => panic!("{line}"),
        };
        (fields[0].to_owned(), want)
    };
    text.lines().map(line).collect()
}

fn read<'a>(name: &str, file: &'a [u8]) -> Result<Dense<'a>> {
    if name.ends_with(".npy") {
        npy::read(file)
    } else {
        arrow::read(file)
    }
}

fn parts(dense: Dense<'_>) -> (Dtype, Shape, Vec<u8>) {
    (dense.dtype, dense.shape.clone(), dense.elements.into_vec().unwrap())
}

#[test]
fn files_of_numpy_and_pyarrow_read_as_they_say() {
    for (name, want) in manifest() {
        let file = golden(&name);
        let got = read(&name, &file).map(parts).map_err(|e| e.code().to_owned());
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn plain_files_are_borrowed_not_copied() {
    for name in ["float64.npy", "bool.npy", "version3.npy", "int16.arrow", "named.arrow"] {
        let file = golden(name);
        assert!(matches!(read(name, &file).unwrap().elements, Elements::Borrowed(_)), "{name}");
    }
}

#[test]
fn headers_are_the_bytes_that_numpy_writes() {
    for name in Dtype::ALL.iter().map(|d| d.name()).chain(["scalar", "empty", "long_axis"]) {
        if name != "bfloat16" {
            let file = golden(&format!("{name}.npy"));
            let dense = npy::read(&file).unwrap();
            let header = npy::header(dense.dtype, &dense.shape).unwrap();
            assert_eq!(header[..], file[..header.len()], "{name}");
            assert_eq!(header.len() + dense.elements.len(), file.len(), "{name}");
        }
    }
    let refused = npy::header(Dtype::BFloat16, &Shape::scalar()).unwrap_err();
    assert_eq!(refused.to_string(), "DTYPE NPY takes no bfloat16 (BLOB carries it; ND.GET casts with DTYPE float32)");
    let widest = Shape::new(&[1; 64]).unwrap();
    assert_eq!(
        Dense {
            elements: Elements::Owned(vec![0]),
            ..npy::read(&[npy::header(Dtype::Int8, &widest).unwrap(), vec![0]].concat()).unwrap()
        }
        .shape,
        widest
    );
}

#[test]
fn arrow_messages_read_back() {
    for &dtype in Dtype::ALL {
        for shape in [
            Shape::scalar(),
            Shape::from([3]),
            Shape::from([2, 0]),
            Shape::from([2, 3, 4]),
            Shape::new(&[1; 64]).unwrap(),
        ] {
            let (_, len) = shape.size_and_bytes(dtype).unwrap();
            let Ok(mut message) = arrow::prefix(dtype, &shape) else {
                assert!(matches!(dtype.name(), "bool" | "bfloat16" | "complex64" | "complex128"), "{dtype}");
                continue;
            };
            assert_eq!(message.len() % 64, 0);
            let elements: Vec<u8> = (0..len).map(|i| i as u8).collect();
            message.extend_from_slice(&elements);
            message.resize(message.len() + arrow::padding(len), 0);
            assert_eq!(message.len() % 64, 0);
            assert_eq!(parts(arrow::read(&message).unwrap()), (dtype, shape, elements));
        }
    }
    let refused = arrow::prefix(Dtype::Bool, &Shape::scalar()).unwrap_err();
    assert_eq!(refused.to_string(), "DTYPE ARROW takes no bool (BLOB carries it; ND.GET casts with DTYPE uint8)");
}

/// Every prefix and every single-bit change of `file`.
fn damaged(file: &[u8], mut check: impl FnMut(&[u8])) {
    for len in 0..file.len() {
        check(&file[..len]);
    }
    let mut flipped = file.to_vec();
    for bit in 0..8 * file.len() {
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_and_bit_flip_is_answered_without_panic_or_large_allocation() {
    for (name, _) in manifest() {
        let file = golden(&name);
        let whole = read(&name, &file).is_ok();
        LARGEST.set(0);
        damaged(&file, |bytes| {
            if let Ok(dense) = read(&name, bytes) {
                let (_, need) = dense.shape.size_and_bytes(dense.dtype).unwrap();
                assert_eq!(dense.elements.len(), need, "{name}");
                // Arrow's padding behind the elements may be missing; nothing else may.
                assert!(
                    bytes.len() == file.len() || name.ends_with(".arrow") || !whole,
                    "{name} cut to {}",
                    bytes.len()
                );
            }
        });
        assert!(LARGEST.get() < MOST, "{name} asked for {} bytes", LARGEST.get());
    }
}

#[test]
fn every_damaged_archive_is_answered_without_panic_or_large_allocation() {
    for name in ["stored.npz", "deflated.npz"] {
        let file = golden(name);
        LARGEST.set(0);
        damaged(&file, |bytes| {
            let _ = npz::names(bytes);
            for member in ["a", "zeros"] {
                if let Ok((dtype, shape, elements)) = npz::read_member(bytes, member.as_bytes(), 1 << 20) {
                    assert_eq!(shape.size_and_bytes(dtype).unwrap().1, elements.len());
                }
            }
        });
        assert!(LARGEST.get() < MOST, "{name} asked for {} bytes", LARGEST.get());
    }
}

#[test]
fn archives_of_numpy_read_member_by_member() {
    for file in [golden("stored.npz"), golden("deflated.npz")] {
        let names = npz::names(&file).unwrap();
        assert_eq!(names, [&b"a"[..], "b/ä".as_bytes(), b"zeros"]);
        let (dtype, shape, elements) = npz::read_member(&file, b"a.npy", 48).unwrap();
        assert_eq!((dtype, shape), (Dtype::Float64, Shape::from([2, 3])));
        assert_eq!(elements[40..], 5f64.to_le_bytes());
        assert_eq!(npz::read_member(&file, "b/ä".as_bytes(), 48).unwrap().2, [1, 0]);
        assert_eq!(npz::read_member(&file, b"zeros", 1000).unwrap().2, [0; 1000]);
        let too_large = npz::read_member(&file, b"zeros", 999).unwrap_err();
        assert_eq!(too_large.to_string(), "LIMIT the NPZ member would take 1000 bytes, the limit is 999");
        let missing = npz::read_member(&file, b"x", 999).unwrap_err();
        assert_eq!(missing.to_string(), "VALUE the NPZ file has no member 'x' (it has a.npy, b/ä.npy, zeros.npy)");
    }
}

/// One array of `array2string.bin`, and the rest.
struct Shown<'a> {
    dtype: Dtype,
    shape: Shape,
    elements: Option<&'a [u8]>,
    text: &'a str,
}

impl Shown<'_> {
    fn element(&self, i: usize) -> Scalar {
        if let Some(bytes) = self.elements {
            return Scalar::from_le_bytes(self.dtype, &bytes[i * self.dtype.itemsize()..]);
        }
        let v = (i as u64 * 2_654_435_761 % (1 << 32)) as i128;
        let number = match self.dtype.name() {
            "bool" => Number::Bool(v % 2 == 1),
            name if name.starts_with("uint") => Number::Int(v % 200),
            name if name.starts_with("int") => Number::Int(v % 200 - 100),
            _ => Number::Float((v % 20_011 - 10_000) as f64 / 16.0),
        };
        Scalar::new(number, self.dtype).unwrap()
    }
}

fn shown(file: &[u8]) -> Vec<Shown<'_>> {
    let mut rest = file;
    let mut take = |n: usize| rest.split_off(..n).unwrap();
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()) as usize;
    let mut out = Vec::new();
    let mut left = file.len();
    while left > 0 {
        let source = take(1)[0];
        let len = usize::from(take(1)[0]);
        let dtype = Dtype::parse(take(len)).unwrap().0;
        let ndim = usize::from(take(1)[0]);
        let dims: Vec<usize> = (0..ndim).map(|_| word(take(4))).collect();
        let elements = (source == 0).then(|| {
            let len = word(take(4));
            take(len)
        });
        let text_len = word(take(4));
        let text = std::str::from_utf8(take(text_len)).unwrap();
        left -= 2 + len + 1 + 4 * ndim + elements.map_or(0, |e| 4 + e.len()) + 4 + text.len();
        out.push(Shown { dtype, shape: Shape::new(&dims).unwrap(), elements, text });
    }
    out
}

#[test]
fn texts_are_character_for_character_those_of_numpy() {
    let file = golden("array2string.bin");
    let all = shown(&file);
    assert!(all.len() >= 2_000);
    for one in all {
        let got = text::array2string(one.dtype, &one.shape, &mut |i| Ok(one.element(i)), one.text.len());
        assert_eq!(got.as_deref(), Ok(one.text), "{} {}", one.dtype, one.shape);
    }
}

#[test]
fn only_shown_elements_are_asked_for() {
    let mut asked = Vec::new();
    let shape = Shape::from([1 << 20, 1 << 20]);
    let shown = text::array2string(
        Dtype::Int64,
        &shape,
        &mut |i| {
            asked.push(i);
            Ok(Scalar::of(i as i64))
        },
        4096,
    );
    assert_eq!((asked.len(), asked.last()), (36, Some(&((1 << 40) - 1))));
    assert!(shown.unwrap().starts_with("[[            0             1             2 ..."));
}

#[test]
fn texts_above_the_limit_are_refused_before_any_work() {
    let mut never = |_: usize| -> Result<Scalar> { panic!("no element is to be asked for") };
    let shape = Shape::new(&[2; 30]).unwrap();
    let refused = text::array2string(Dtype::Int8, &shape, &mut never, 1 << 20).unwrap_err();
    assert_eq!(refused.to_string(), "LIMIT the text would take 2147483647 bytes, the limit is 1048576");
    let most = Shape::new(&[usize::MAX; 64]).unwrap();
    assert_eq!(text::array2string(Dtype::Int8, &most, &mut never, 1 << 20).unwrap_err().code(), "LIMIT");
    let wide = text::array2string(Dtype::Int64, &Shape::from([10]), &mut |_| Ok(Scalar::of(i64::MIN)), 100);
    assert!(matches!(wide, Err(Error::Limit { limit: 100, .. })));
}

#[test]
fn every_damaged_json_text_is_answered() {
    LARGEST.set(0);
    for sample in
        ["[[1, 2.5, NaN], [true, -Infinity, 1e5]]", "[\"1+2j\", 3, -4j]", "[[[]], [[]]]", "18446744073709551615"]
    {
        damaged(sample.as_bytes(), |bytes| {
            for dtype in [None, Some(Dtype::Int8), Some(Dtype::Complex64)] {
                if let Ok(dense) = json::read(bytes, dtype) {
                    assert_eq!(dense.shape.size_and_bytes(dense.dtype).unwrap().1, dense.elements.len());
                }
            }
        });
    }
    assert!(LARGEST.get() < MOST);
}
