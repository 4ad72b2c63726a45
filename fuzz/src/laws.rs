//! Laws that hold for every input, each a function of any bytes that panics where its law is broken.
//!
//! A fuzzer calls them with inputs it has bred (`fuzz/fuzz_targets`), an ordinary test with seeded random ones
//! (`tests/fuzz_laws.rs`). An input is read as dice: its first bytes choose dtype, shape and what to do, the rest is the
//! hostile text or file. Most laws have a mode that makes a whole file first and damages it, so that short inputs reach
//! deep code.

use redis_ndarray::nd::array::{Array, StoreOptions};
use redis_ndarray::nd::checksum::xxh3_64;
use redis_ndarray::nd::chunk::Chunk;
use redis_ndarray::nd::codec::{Chooser, Encoding, Policy};
use redis_ndarray::nd::dtype::Dtype;
use redis_ndarray::nd::error::{Error, Result};
use redis_ndarray::nd::format::{arrow, json, npy, npz, rdb, text, Dense};
use redis_ndarray::nd::index::{Index, Selection};
use redis_ndarray::nd::kernels::generate::{Generator, Recipe};
use redis_ndarray::nd::memory;
use redis_ndarray::nd::scalar::{Number, Scalar};
use redis_ndarray::nd::shape::Shape;
use redis_ndarray::nd::source::{PiecesSource, SliceSource, Source};

/// A law: any bytes, and a panic where it does not hold for them.
pub type Law = fn(&[u8]);

/// Every law by name; each is a fuzz target of that name.
pub const LAWS: &[(&str, Law)] = &[
    ("npy_reads_or_refuses", npy_reads_or_refuses),
    ("npz_reads_or_refuses", npz_reads_or_refuses),
    ("arrow_reads_or_refuses", arrow_reads_or_refuses),
    ("json_round_trips", json_round_trips),
    ("index_resolves_in_bounds", index_resolves_in_bounds),
    ("stored_form_loads_or_refuses", stored_form_loads_or_refuses),
    ("chunk_decodes_or_refuses", chunk_decodes_or_refuses),
    ("grid_reads_as_one_buffer", grid_reads_as_one_buffer),
    ("number_text_round_trips", number_text_round_trips),
    ("array2string_terminates", array2string_terminates),
    ("recipes_fill_or_refuse", recipes_fill_or_refuse),
];

/// The input, read front to back; zeros once it is used up.
struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `n`, which is at most 65,536.
    fn below(&mut self, n: usize) -> usize {
        let wide = if n > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (wide | usize::from(self.byte())) % n
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (part, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        part
    }

    fn dtype(&mut self) -> Dtype {
        self.of(Dtype::ALL)
    }

    /// At most four short axes.
    fn shape(&mut self) -> Shape {
        let ndim = self.below(5);
        let dims: Vec<usize> = (0..ndim).map(|_| self.below(9)).collect();
        Shape::new(&dims).unwrap()
    }

    /// As many elements as the shape holds, the dice's bytes over and over.
    fn elements(&mut self, dtype: Dtype, shape: &Shape) -> Vec<u8> {
        let (_, nbytes) = shape.size_and_bytes(dtype).unwrap();
        let seed_len = self.below(64) + 1;
        let seed = self.take(seed_len);
        let mut bytes: Vec<u8> =
            (0..nbytes).map(|i| seed.get(i % seed.len().max(1)).map_or(i as u8, |b| b ^ (i >> 9) as u8)).collect();
        if dtype == Dtype::Bool {
            bytes.iter_mut().for_each(|b| *b &= 1);
        }
        bytes
    }

    /// Damages `bytes` in as many places as the dice say: replaced, removed, repeated.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(8) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(65_536) % bytes.len();
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, self.0.first().copied().unwrap_or(0)),
                3 => bytes[at] = bytes[at].wrapping_add(1),
                4 => bytes[at] = 0xff,
                _ => bytes[at] = self.byte(),
            }
        }
    }
}

/// What every refusal promises: a text that begins with its code, on one line, of a length fit for a reply.
fn check_error(e: &Error) {
    let text = e.to_string();
    assert!(text.starts_with(e.code()), "{text}");
    assert!(text.len() < 2_000 && !text.contains(['\r', '\n', '\0']), "{} bytes: {text}", text.len());
}

/// What every array that was read promises; answers its elements.
fn check_dense(dense: Dense<'_>) -> (Dtype, Shape, Vec<u8>) {
    let (_, nbytes) = dense.shape.size_and_bytes(dense.dtype).expect("a shape that has a size");
    let bytes = dense.elements.into_vec().expect("memory");
    assert_eq!(bytes.len(), nbytes);
    assert!(dense.dtype != Dtype::Bool || bytes.iter().all(|b| *b <= 1));
    (dense.dtype, dense.shape, bytes)
}

/// A `.npy` file is refused, or what was read writes a file that reads as the same array.
pub fn npy_reads_or_refuses(input: &[u8]) {
    let mut dice = Dice(input);
    let file = match dice.below(3) {
        0 => dice.0.to_vec(),
        1 => {
            // Any text as the header, and what follows as the elements.
            let len = dice.below(200);
            let (major, text) = (dice.below(4) as u8, dice.take(len));
            let mut file = b"\x93NUMPY".to_vec();
            file.extend_from_slice(&[major, 0]);
            match major {
                1 => file.extend_from_slice(&(text.len() as u16).to_le_bytes()),
                _ => file.extend_from_slice(&(text.len() as u32).to_le_bytes()),
            }
            file.extend_from_slice(text);
            file.extend_from_slice(dice.0);
            file
        }
        _ => {
            let (dtype, shape) = (dice.dtype(), dice.shape());
            let Ok(mut file) = npy::header(dtype, &shape) else { return };
            dice.damage(&mut file);
            file.extend_from_slice(&dice.elements(dtype, &shape));
            file
        }
    };
    match npy::read(&file) {
        Err(e) => check_error(&e),
        Ok(dense) => {
            let (dtype, shape, bytes) = check_dense(dense);
            let mut again = npy::header(dtype, &shape).expect("what was read can be written");
            again.extend_from_slice(&bytes);
            assert_eq!(check_dense(npy::read(&again).unwrap()), (dtype, shape, bytes));
        }
    }
}

/// Members of a `.npz` file are refused or read within the limit; an undamaged file gives back what was written.
pub fn npz_reads_or_refuses(input: &[u8]) {
    const MOST: usize = 1 << 16;
    let mut dice = Dice(input);
    let file = if dice.below(4) == 0 {
        dice.0.to_vec()
    } else {
        let mut writer = npz::Writer::with_capacity(0).unwrap();
        let mut written = Vec::new();
        for _ in 0..dice.below(4) {
            let (dtype, shape) = (dice.dtype(), dice.shape());
            let len = dice.below(12);
            let (name, bytes) = (dice.take(len), dice.elements(dtype, &shape));
            let Ok(header) = npy::header(dtype, &shape) else { continue };
            if writer.member(name, &header, &mut std::iter::once(&bytes[..])).unwrap() {
                written.push((dtype, shape, bytes));
            }
        }
        let mut file = writer.finish();
        let names = npz::names(&file).unwrap();
        assert_eq!(names.len(), written.len());
        for (name, want) in names.iter().zip(written) {
            // A name that ends in .npy may stand for another member's.
            if !names.iter().any(|n| n != name && (n.starts_with(name) || name.starts_with(n))) {
                assert_eq!(npz::read_member(&file, name, usize::MAX).unwrap(), want);
            }
        }
        dice.damage(&mut file);
        file
    };
    match npz::names(&file) {
        Err(e) => check_error(&e),
        Ok(names) => {
            for name in names.iter().take(8) {
                match npz::read_member(&file, name, MOST) {
                    Err(e) => check_error(&e),
                    Ok((dtype, shape, bytes)) => {
                        assert_eq!(shape.size_and_bytes(dtype).unwrap().1, bytes.len());
                        assert!(bytes.len() <= MOST);
                        assert!(dtype != Dtype::Bool || bytes.iter().all(|b| *b <= 1));
                    }
                }
            }
        }
    }
}

/// An Arrow message is refused, or what was read writes a message that reads as the same array.
pub fn arrow_reads_or_refuses(input: &[u8]) {
    let mut dice = Dice(input);
    let message = if dice.below(4) == 0 {
        dice.0.to_vec()
    } else {
        let (dtype, shape) = (dice.dtype(), dice.shape());
        let Ok(mut message) = arrow::prefix(dtype, &shape) else { return };
        let bytes = dice.elements(dtype, &shape);
        let damaged = dice.below(8) != 0;
        if damaged {
            dice.damage(&mut message);
        }
        message.extend_from_slice(&bytes);
        message.resize(message.len() + arrow::padding(bytes.len()), 0);
        if !damaged {
            assert_eq!(check_dense(arrow::read(&message).unwrap()), (dtype, shape, bytes));
        }
        message
    };
    match arrow::read(&message) {
        Err(e) => check_error(&e),
        Ok(dense) => {
            let (dtype, shape, bytes) = check_dense(dense);
            let mut again = arrow::prefix(dtype, &shape).expect("what was read can be written");
            again.extend_from_slice(&bytes);
            again.resize(again.len() + arrow::padding(bytes.len()), 0);
            assert_eq!(check_dense(arrow::read(&again).unwrap()), (dtype, shape, bytes));
        }
    }
}

/// Whether two elements are the same number: the same bits, or NaN on both sides where the text says only that.
fn is_same(a: &Scalar, b: &Scalar) -> bool {
    fn float(x: f64, y: f64) -> bool {
        x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
    }
    match (a.number(), b.number()) {
        (Number::Float(x), Number::Float(y)) => float(x, y),
        (Number::Complex(x), Number::Complex(y)) => float(x.re, y.re) && float(x.im, y.im),
        (x, y) => x == y,
    }
}

fn check_same_elements(dtype: Dtype, a: &[u8], b: &[u8]) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.chunks_exact(dtype.itemsize()).zip(b.chunks_exact(dtype.itemsize())) {
        let (x, y) = (Scalar::from_le_bytes(dtype, x), Scalar::from_le_bytes(dtype, y));
        assert!(is_same(&x, &y), "{} is not {}", x.python(), y.python());
    }
}

/// JSON text is refused, or written again it reads as the same array; and any elements written read as they were.
pub fn json_round_trips(input: &[u8]) {
    let mut dice = Dice(input);
    let dtype = dice.dtype();
    let (dtype, shape, bytes) = if dice.below(2) == 0 {
        let given = if dice.below(2) == 0 { None } else { Some(dtype) };
        match json::read(dice.0, given) {
            Err(e) => return check_error(&e),
            Ok(dense) => check_dense(dense),
        }
    } else {
        let shape = dice.shape();
        let bytes = dice.elements(dtype, &shape);
        (dtype, shape, bytes)
    };
    let mut text = Vec::new();
    json::write(dtype, &shape, &bytes, &mut text).unwrap();
    let (again, shape_again, bytes_again) = check_dense(json::read(&text, Some(dtype)).unwrap());
    assert_eq!(again, dtype);
    // Axes behind an empty one are not in the text.
    match shape.iter().position(|d| *d == 0) {
        None => assert_eq!(shape_again, shape),
        Some(empty) => assert_eq!(shape_again[..], shape[..=empty]),
    }
    check_same_elements(dtype, &bytes, &bytes_again);
}

/// An index is refused, or selects elements of the array, as many as the result's shape holds.
pub fn index_resolves_in_bounds(input: &[u8]) {
    let mut dice = Dice(input);
    let shape = match dice.below(4) {
        // Axes as long as there are.
        0 => Shape::from([dice.u64() as usize >> 1]),
        1 => Shape::from([dice.u64() as usize >> 33, dice.u64() as usize >> 34]),
        _ => dice.shape(),
    };
    if shape.size_and_bytes(Dtype::UInt8).is_err() {
        return;
    }
    let index = match Index::parse(dice.0) {
        Err(e) => return check_error(&e),
        Ok(index) => index,
    };
    let selection = match index.resolve(&shape) {
        Err(e) => return check_error(&e),
        Ok(selection) => selection,
    };
    let (size, _) = selection.out_shape().size_and_bytes(Dtype::UInt8).expect("a result that can be counted");
    if let Selection::Basic(basic) = &selection {
        assert_eq!(basic.axes.len(), shape.ndim());
        assert_eq!(basic.axes.iter().map(|a| a.len).product::<usize>(), size);
        for (axis, len) in basic.axes.iter().zip(shape.iter()).filter(|(a, _)| a.len > 0) {
            assert!(axis.start < *len && axis.at(axis.len - 1) < *len && axis.at(axis.len / 2) < *len);
        }
    }
    if size > 1 << 14 {
        return;
    }
    let whole = shape.checked_size().unwrap();
    let positions: Vec<usize> = selection.positions(&shape).collect();
    assert_eq!(positions.len(), size);
    assert!(positions.iter().all(|p| *p < whole));
    if let Some((start, len)) = selection.as_contiguous_run(&shape) {
        assert!(positions.iter().copied().eq(start..start + len));
    }
}

fn options(dice: &mut Dice<'_>, shape: &Shape) -> StoreOptions {
    let mut options = StoreOptions {
        policy: dice.of(Policy::KINDS),
        chunk_bytes: 1 << dice.below(10),
        inline_bytes: 0,
        codec_given: true,
        ..StoreOptions::default()
    };
    if dice.below(4) != 0 {
        let dims: Vec<usize> = shape.iter().map(|_| dice.below(9) + 1).collect();
        options.chunk_shape = Some(Shape::new(&dims).unwrap());
    }
    options
}

/// Drops rows in front, as many as the dice say: a chunked array then begins inside its first chunks. Answers how many rows
/// are left.
fn drop_rows(dice: &mut Dice<'_>, array: &mut Array, options: &StoreOptions) -> usize {
    let mut none = array.shape();
    let Some(rows) = none.first().copied() else { return 1 };
    if dice.below(2) == 0 {
        return rows;
    }
    let keep = dice.below(rows + 1);
    none.dims_mut()[0] = 0;
    array.append(0, &[], &none, Some(keep), options, 1 << 24).expect("nothing is appended");
    keep
}

fn saved(array: &Array) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let outcome: std::result::Result<(), std::convert::Infallible> = rdb::save(array, &mut |s| {
        strings.push(s.to_vec());
        Ok(())
    });
    let Ok(()) = outcome;
    strings
}

fn loaded(strings: &[Vec<u8>]) -> Result<Array> {
    let Some((header, parts)) = strings.split_first() else { return Err(Error::corrupt("stored array", 0, "nothing")) };
    let rdb::Header { mut array, stored, .. } = rdb::read_header(header)?;
    for part in parts {
        rdb::read_part(&mut array, part)?;
    }
    let held = array.chunks().map_or(0, |c| c.stored().len() as u64);
    if array.parts_missing() > 0 || held != stored {
        return Err(Error::corrupt("stored array", 0, "parts are missing"));
    }
    Ok(array)
}

/// Makes every checksum of a stored form right again.
fn reseal(strings: &mut [Vec<u8>]) {
    const RECORD: usize = 21;
    let Some((header, parts)) = strings.split_first_mut() else { return };
    if let Some(body) = header.len().checked_sub(8) {
        let sum = xxh3_64(&header[..body]);
        header[body..].copy_from_slice(&sum.to_le_bytes());
    }
    for part in parts {
        let Some(count) = part.first_chunk::<4>().map(|n| u32::from_le_bytes(*n) as usize) else { continue };
        let table = 4 + count.saturating_mul(RECORD);
        let mut at = table.saturating_add(8);
        if at > part.len() {
            continue;
        }
        for i in 0..count {
            let record = 4 + i * RECORD;
            let length = u32::from_le_bytes(std::array::from_fn(|k| part[record + 9 + k])) as usize;
            let end = at.saturating_add(length).min(part.len());
            let sum = xxh3_64(&part[at..end]);
            part[record + 13..record + RECORD].copy_from_slice(&sum.to_le_bytes());
            at = end;
        }
        let sum = xxh3_64(&part[..table]);
        part[table..table + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

/// A stored form is refused, or loads as an array whose elements read, and which saves and loads as itself.
pub fn stored_form_loads_or_refuses(input: &[u8]) {
    const MOST: usize = 1 << 20;
    let mut dice = Dice(input);
    let mode = dice.below(8);
    let mut strings = if mode == 0 {
        let len = dice.below(256);
        vec![dice.take(len).to_vec(), dice.0.to_vec()]
    } else {
        let (dtype, shape) = (dice.dtype(), dice.shape());
        let mut options = options(&mut dice, &shape);
        if dice.below(4) == 0 {
            options = StoreOptions::default();
        }
        let bytes = dice.elements(dtype, &shape);
        let Ok(mut array) = Array::from_source(dtype, &shape, &mut SliceSource::new(&bytes), &options) else { return };
        let _ = array.attributes_mut().set(vec![(b"unit", "\"m\"".to_owned())]);
        drop_rows(&mut dice, &mut array, &options);
        let mut strings = saved(&array);
        if mode == 1 {
            assert_eq!(loaded(&strings).unwrap().digest(), array.digest());
        }
        for string in &mut strings {
            dice.damage(string);
        }
        strings
    };
    if mode != 2 {
        reseal(&mut strings);
    }
    let array = match loaded(&strings) {
        Err(e) => return check_error(&e),
        Ok(array) => array,
    };
    assert!(array.memory() > 0 && array.free_effort() > 0);
    if let Err(e) = array.verify() {
        return check_error(&e); // its bytes have the right checksum, and do not decode
    }
    let again = loaded(&saved(&array)).expect("what was loaded can be saved");
    assert_eq!((again.dtype(), again.shape()), (array.dtype(), array.shape()));
    assert_eq!((again.stored_bytes(), again.encodings()), (array.stored_bytes(), array.encodings()));
    assert_eq!(again.attributes(), array.attributes());
    if array.nbytes() <= MOST {
        assert_eq!(array.digest().unwrap(), again.digest().unwrap());
        let mut bytes = Vec::new();
        array.read_run(0, array.size(), &mut bytes).unwrap();
        assert_eq!(bytes.len(), array.nbytes());
        assert!(array.dtype() != Dtype::Bool || bytes.iter().all(|b| *b <= 1));
    }
}

/// Stored chunk bytes are refused or decode to elements; and what is encoded decodes to itself.
pub fn chunk_decodes_or_refuses(input: &[u8]) {
    let mut dice = Dice(input);
    let itemsize = 1usize << dice.below(5);
    let nbytes = dice.below(1000) * itemsize;
    if dice.below(2) == 0 {
        let encoding = dice.of(Encoding::ALL);
        let stored = dice.0;
        let sum = xxh3_64(stored) ^ u64::from(stored.len() == 7); // now and then a wrong one
        let chunk = match Chunk::from_stored(3, encoding, stored, sum, nbytes, itemsize) {
            Err(e) => return check_error(&e),
            Ok(chunk) => chunk,
        };
        chunk.verify(3).unwrap();
        let mut copy = vec![0xAA; nbytes];
        let direct = chunk.decode_into(3, itemsize, &mut copy);
        let lent = chunk.with_elements(3, nbytes, itemsize, |e| Ok(e.to_vec()));
        match (direct, lent) {
            (Ok(()), Ok(lent)) => assert_eq!(lent, copy),
            (Err(a), Err(b)) => {
                assert_eq!(a, b);
                check_error(&a);
            }
            (direct, lent) => panic!("{direct:?}, {lent:?}"),
        }
        return;
    }
    let policy = dice.of(Policy::KINDS);
    let elements: Vec<u8> = dice.0.iter().copied().cycle().take(if dice.0.is_empty() { 0 } else { nbytes }).collect();
    let dtype =
        [Dtype::UInt8, Dtype::Float16, Dtype::Int32, Dtype::Float64, Dtype::Complex128][itemsize.ilog2() as usize];
    let chooser = Chooser::new(policy, dtype, elements.len(), |start, len| elements.get(start..start + len));
    let chunk = Chunk::encode(&elements, &chooser).unwrap();
    let again =
        Chunk::from_stored(0, chunk.encoding(), chunk.stored_bytes(), chunk.checksum(), elements.len(), itemsize);
    let back = again.unwrap().with_elements(0, elements.len(), itemsize, |e| Ok(e.to_vec())).unwrap();
    assert_eq!(back, elements);
}

/// An index of roughly the right form for `shape`.
fn index_text(dice: &mut Dice<'_>, shape: &Shape) -> String {
    let mut items = Vec::new();
    let mut list_len = 0;
    for d in shape.iter() {
        let position = |dice: &mut Dice<'_>| dice.below(2 * d.max(&1)) as i64 - *d as i64;
        match dice.below(9) {
            0 => items.push(position(dice).to_string()),
            1 | 2 => items.push(":".to_owned()),
            3 | 4 => {
                let (start, stop, step) = (position(dice), position(dice), dice.below(9) as i64 - 4);
                items.push(format!("{start}:{stop}:{}", if step == 0 { 1 } else { step }));
            }
            5 => items.push(format!("::{}", [-1, -2, 2, 3][dice.below(4)])),
            6 => {
                let list: Vec<String> =
                    (0..*d).map(|_| if dice.below(2) == 0 { "False" } else { "True" }.to_owned()).collect();
                items.push(format!("[{}]", list.join(",")));
            }
            _ => {
                list_len = if list_len == 0 { dice.below(12) } else { list_len };
                let list: Vec<String> = (0..list_len).map(|_| position(dice).to_string()).collect();
                items.push(format!("[{}]", list.join(",")));
            }
        }
        match dice.below(20) {
            0 => items.push("None".to_owned()),
            1 if !items.iter().any(|i| i == "...") => {
                items.push("...".to_owned());
                break;
            }
            2 => break,
            _ => {}
        }
    }
    items.join(",")
}

/// However an array is cut into chunks and encoded, every way of reading it gives the elements that went in.
pub fn grid_reads_as_one_buffer(input: &[u8]) {
    let mut dice = Dice(input);
    let (dtype, shape) = (dice.dtype(), dice.shape());
    let itemsize = dtype.itemsize();
    let options = options(&mut dice, &shape);
    let bytes = dice.elements(dtype, &shape);
    let cut = dice.below(65_536).min(bytes.len());
    let pieces = [&bytes[..cut], &bytes[cut..]];
    let (mut whole, mut pieces) = (SliceSource::new(&bytes), PiecesSource::new(&pieces));
    let source: &mut dyn Source = if dice.below(2) == 0 { &mut whole } else { &mut pieces };
    let mut array = match Array::from_source(dtype, &shape, source, &options) {
        Err(e) => return check_error(&e),
        Ok(array) => array,
    };
    let rows = drop_rows(&mut dice, &mut array, &options);
    let shape = array.shape();
    let bytes = bytes[bytes.len() - array.nbytes()..].to_vec();
    assert_eq!(rows, shape.first().copied().unwrap_or(1));
    let plain = StoreOptions { inline_bytes: usize::MAX, ..StoreOptions::default() };
    let plain = Array::from_source(dtype, &shape, &mut SliceSource::new(&bytes), &plain).unwrap();
    assert_eq!(plain.plain_bytes(), Some(&bytes[..]));
    assert_eq!(array.digest(), plain.digest());
    array.verify().unwrap();

    // Any run.
    let size = array.size();
    let start = dice.below(65_536) % (size + 1);
    let len = dice.below(65_536) % (size - start + 1);
    let mut read = Vec::new();
    array
        .visit_run(start, len, |piece| {
            read.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
    assert_eq!(read, bytes[start * itemsize..(start + len) * itemsize]);
    if start < size {
        let element = Scalar::from_le_bytes(dtype, &bytes[start * itemsize..]);
        assert!(is_same(&array.element(start).unwrap(), &element));
    }

    // Any selection, against the plain array and against the list of its positions.
    for _ in 0..2 {
        let text = index_text(&mut dice, &shape);
        let selection = match Index::parse(text.as_bytes()).and_then(|index| index.resolve(&shape)) {
            Err(e) => {
                check_error(&e);
                continue;
            }
            Ok(selection) => selection,
        };
        let (count, nbytes) = selection.out_shape().size_and_bytes(dtype).unwrap();
        if count > 1 << 15 {
            continue;
        }
        let (a, b) = (array.read(&selection).unwrap(), plain.read(&selection).unwrap());
        let want: Vec<u8> =
            selection.positions(&shape).flat_map(|p| &bytes[p * itemsize..(p + 1) * itemsize]).copied().collect();
        assert_eq!(memory::bytes(&b, nbytes), want, "plain, [{text}] of {shape}");
        assert_eq!(memory::bytes(&a, nbytes), want, "chunked, [{text}] of {shape}");
    }

    // Written over, it is the new array, or nothing has changed.
    let other: Vec<u8> = bytes.iter().rev().map(|b| if dtype == Dtype::Bool { 1 - b } else { !b }).collect();
    let before = array.digest();
    let options = StoreOptions { chunk_shape: None, ..options };
    let written = array.overwrite(dtype, &shape, &mut SliceSource::new(&other), &options);
    let fresh = Array::from_source(dtype, &shape, &mut SliceSource::new(&other), &plain_options()).unwrap();
    assert_eq!(array.digest(), if written { fresh.digest() } else { before });
    array.verify().unwrap();
}

fn plain_options() -> StoreOptions {
    StoreOptions { inline_bytes: usize::MAX, ..StoreOptions::default() }
}

/// A number's text is refused, or the number read from it is written as texts that read as that number.
pub fn number_text_round_trips(input: &[u8]) {
    let mut dice = Dice(input);
    let dtype = dice.dtype();
    let scalar = if dice.below(2) == 0 {
        match Scalar::parse(dice.0, dtype) {
            Err(e) => return check_error(&e),
            Ok(scalar) => scalar,
        }
    } else {
        let mut bytes: [u8; 16] = std::array::from_fn(|_| dice.byte());
        if dtype == Dtype::Bool {
            bytes[0] &= 1;
        }
        Scalar::from_le_bytes(dtype, &bytes)
    };
    assert_eq!(scalar.dtype(), dtype);
    assert!(is_same(&Scalar::from_le_bytes(dtype, &scalar.to_le_bytes()), &scalar));
    for text in [scalar.short().to_string(), scalar.python().to_string(), scalar.json().to_string()] {
        let again = Scalar::parse(text.as_bytes(), dtype);
        assert!(again.as_ref().is_ok_and(|again| is_same(again, &scalar)), "{text} as {dtype}: {again:?}");
    }
}

/// Text of any array ends within its limit, having looked at no more elements than it can show.
pub fn array2string_terminates(input: &[u8]) {
    const MOST: usize = 1 << 14;
    let mut dice = Dice(input);
    let dtype = dice.dtype();
    let shape = match dice.below(4) {
        0 => {
            let dims: Vec<usize> = (0..dice.below(65)).map(|_| dice.below(4)).collect();
            Shape::new(&dims).unwrap()
        }
        1 => {
            let dims: Vec<usize> = (0..dice.below(5)).map(|_| 1 << dice.below(40)).collect();
            Shape::new(&dims).unwrap()
        }
        _ => dice.shape(),
    };
    let Ok((size, _)) = shape.size_and_bytes(dtype) else { return };
    let elements = dice.0;
    let mut looked = 0;
    let outcome = text::array2string(
        dtype,
        &shape,
        &mut |i| {
            assert!(i < size);
            looked += 1;
            let mut bytes: [u8; 16] =
                std::array::from_fn(|k| elements.get((i % 64 * 16 + k) % elements.len().max(1)).copied().unwrap_or(0));
            if dtype == Dtype::Bool {
                bytes[0] &= 1;
            }
            Ok(Scalar::from_le_bytes(dtype, &bytes))
        },
        MOST,
    );
    assert!(looked <= MOST, "{looked} elements of {shape}");
    match outcome {
        Err(e) => check_error(&e),
        Ok(text) => {
            assert!(text.len() <= MOST);
            assert_eq!(text.matches('[').count(), text.matches(']').count());
            assert!(shape.ndim() == 0 || text.starts_with('['));
        }
    }
}

/// A recipe is refused, or makes the same elements in one go as in two.
pub fn recipes_fill_or_refuse(input: &[u8]) {
    let mut dice = Dice(input);
    let (dtype, shape) = (dice.dtype(), dice.shape());
    let number = |dice: &mut Dice<'_>| match dice.below(6) {
        0 => Number::Int(i128::from(dice.u64() as i64)),
        1 => Number::Int(i128::from(dice.byte()) - 128),
        2 => Number::Float(f64::from_bits(dice.u64())),
        3 => Number::Float(f64::from(dice.byte()) / 16.0),
        4 => Number::Int((i128::from(dice.u64()) << 40).wrapping_neg()),
        _ => Number::parse(dice.take(6)).unwrap_or(Number::Bool(true)),
    };
    let (a, b, seed) = (number(&mut dice), number(&mut dice), dice.u64());
    let recipe = match dice.below(6) {
        0 => Recipe::Arange { start: a, step: b },
        1 => Recipe::Linspace { start: a, stop: b },
        2 => Recipe::Eye { k: a },
        3 => Recipe::Uniform { low: a, high: b, seed },
        4 => Recipe::Normal { mean: a, sd: b, seed },
        _ => Recipe::Integers { low: a, high: b, seed },
    };
    let make = || Generator::new(&recipe, dtype, &shape);
    let (mut whole, mut halves) = match (make(), make()) {
        (Ok(whole), Ok(halves)) => (whole, halves),
        (Err(e), _) | (_, Err(e)) => return check_error(&e),
    };
    let (size, nbytes) = shape.size_and_bytes(dtype).unwrap();
    let cut = dice.below(65_536) % (size + 1);
    let mut one = memory::buffer_zeroed(nbytes).unwrap();
    whole.fill(0, memory::bytes_mut(&mut one, nbytes));
    let one = memory::bytes(&one, nbytes);
    let mut two = Vec::new();
    for (first, count) in [(0, cut), (cut, size - cut)] {
        let len = count * dtype.itemsize();
        let mut part = memory::buffer_zeroed(len).unwrap();
        halves.fill(first, memory::bytes_mut(&mut part, len));
        two.extend_from_slice(memory::bytes(&part, len));
    }
    assert_eq!(one, two);
    assert!(dtype != Dtype::Bool || one.iter().all(|b| *b <= 1));
}
