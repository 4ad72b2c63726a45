//! Appending and dropping, against a list of rows.

use proptest::prelude::*;

use super::*;
use crate::nd::array::tests::{all, check_whole};
use crate::nd::array::Positions;
use crate::nd::codec::Encoding;
use crate::nd::index::Index;
use crate::nd::scalar::Scalar;

const LIMIT: usize = 64 << 20;

fn options(chunk_bytes: usize, policy: Policy) -> StoreOptions {
    StoreOptions { chunk_bytes, policy, inline_bytes: 1024, ..StoreOptions::default() }
}

/// Every way to read sees the rows that the model has.
fn check_rows(array: &Array, rows: &[Vec<u16>], inner: &[usize]) {
    let want: Vec<u8> = rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
    let mut shape = Shape::from([rows.len()]);
    inner.iter().for_each(|d| shape.push(*d).unwrap());
    assert_eq!(array.shape(), shape);
    assert_eq!(all(array), want);
    check_whole(array);
    if rows.is_empty() {
        return;
    }
    let n = rows.len();
    let list: Vec<i64> = (0..9).map(|i| (i * 7 % n) as i64 - if i % 2 == 0 { 0 } else { n as i64 }).collect();
    for (text, positions) in [
        ("::-2".to_string(), None),
        (format!("{}", n / 2), None),
        (format!("{}:,...,-1", n / 3), None),
        (format!("{list:?}"), Some(list.clone())),
        (format!("{list:?},...,[0]"), None),
        ("...,[0,0]".to_string(), None),
    ] {
        let selection = Index::parse(text.as_bytes()).unwrap().resolve(&shape).unwrap();
        let size = selection.out_shape().checked_size().unwrap();
        let want: Vec<u8> = selection.positions(&shape).flat_map(|p| [want[2 * p], want[2 * p + 1]]).collect();
        let got = array.read(&selection).unwrap();
        assert_eq!(memory::bytes(&got, 2 * size), &want[..], "{text} of {shape}");
        if let Some(list) = positions {
            let mut out = vec![0; want.len()];
            array.take_into(&Positions::new(&shape, 0, &list).unwrap(), &mut out).unwrap();
            assert_eq!(out, want);
        }
    }
}

proptest! {
    /// Rows appended and dropped one after the other are those of a list, however they are stored, and whatever else
    /// happens between.
    #[test]
    fn appending_and_dropping_is_a_window_over_a_list(
        steps in proptest::collection::vec((0usize..90, any::<u8>(), 0u8..10), 1..25),
        wide in any::<bool>(),
        chunk in proptest::option::of((1usize..40, 1usize..40)),
        policy in prop::sample::select(Policy::KINDS),
        most in proptest::option::of(0usize..120),
        start in 0usize..50,
    ) {
        let inner: Vec<usize> = if wide { vec![3, 32] } else { vec![64] };
        let row: usize = inner.iter().product();
        let options = options(4096, policy);
        let mut count = 0u16;
        let mut make = |n: usize, kind: u8| -> Vec<Vec<u16>> {
            (0..n).map(|_| {
                count = count.wrapping_add(1);
                (0..row).map(|i| if kind.is_multiple_of(3) { 0 } else { count.wrapping_mul(257).wrapping_add((i / 4) as u16) }).collect()
            }).collect()
        };
        let mut rows = make(start, 1);
        let mut shape = Shape::from([start]);
        inner.iter().for_each(|d| shape.push(*d).unwrap());
        let chunk_shape = chunk.map(|(height, width)| {
            let mut cut = shape.clone();
            cut.dims_mut()[0] = height;
            let last = cut.ndim() - 1;
            cut.dims_mut()[last] = width.max(inner[inner.len() - 1] / 2);
            cut
        }).filter(|c| Grid::new(&shape, c, Dtype::UInt16).is_ok());
        let store = StoreOptions { chunk_shape, ..options.clone() };
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
        let mut array =
            Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&bytes), &store).unwrap();
        let mut snapshots = Vec::new();
        for (n, kind, what) in steps {
            let n = if kind % 4 == 0 { n } else { n % 5 };
            let new = make(n, kind);
            let bytes: Vec<u8> = new.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
            shape.dims_mut()[0] = n;
            if what == 0 {
                snapshots.push((array.clone(), rows.clone()));
            }
            if what == 1 && !rows.is_empty() {
                let at = kind as usize % rows.len();
                let selection = Index::parse(format!("{at}").as_bytes()).unwrap().resolve(&array.shape()).unwrap();
                array.write(&selection, &5u16.to_le_bytes(), &Shape::scalar(), LIMIT).unwrap();
                rows[at] = vec![5; row];
            }
            if what == 2 && !rows.is_empty() {
                let selection = Index::parse(b"[0,-1],...,[0,3]").unwrap();
                if let Ok(selection) = selection.resolve(&array.shape()) {
                    if inner.len() == 1 {
                        array.write(&selection, &6u16.to_le_bytes(), &Shape::scalar(), LIMIT).unwrap();
                        rows[0][0] = 6;
                        rows.last_mut().unwrap()[3] = 6;
                    }
                }
            }
            array.append(0, &bytes, &shape, most, &options, LIMIT).unwrap();
            rows.extend(new);
            if let Some(most) = most {
                rows.drain(..rows.len().saturating_sub(most));
            }
            check_rows(&array, &rows, &inner);
        }
        for (array, rows) in &snapshots {
            check_rows(array, rows, &inner);
        }
    }

    #[test]
    fn other_axes_are_numpys_concatenate(
        dims in proptest::collection::vec(0usize..6, 1..4),
        axis in 0usize..3,
        more in 0usize..6,
        most in proptest::option::of(0usize..8),
        policy in prop::sample::select(Policy::KINDS),
    ) {
        let axis = axis % dims.len();
        let mut other = dims.clone();
        other[axis] = more;
        let (a, b): (usize, usize) = (dims.iter().product(), other.iter().product());
        let (first, second): (Vec<u16>, Vec<u16>) = ((0..a as u16).collect(), (1000..1000 + b as u16).collect());
        let options = StoreOptions { inline_bytes: 16, ..options(4096, policy) };
        let mut array = Array::from_source(
            Dtype::UInt16,
            &Shape::new(&dims).unwrap(),
            &mut SliceSource::new(bytemuck::cast_slice(&first)),
            &options,
        ).unwrap();
        let value = Shape::new(&other).unwrap();
        let back = axis as i64 - dims.len() as i64;
        array.append(back, bytemuck::cast_slice(&second), &value, most, &options, LIMIT).unwrap();
        let outer: usize = dims[..axis].iter().product();
        let (left, right) = (a / outer.max(1), b / outer.max(1));
        let inner: usize = dims[axis + 1..].iter().product();
        let mut want = Vec::new();
        for i in 0..outer {
            let line: Vec<u16> =
                first[i * left..(i + 1) * left].iter().chain(&second[i * right..(i + 1) * right]).copied().collect();
            let keep = most.map_or(line.len(), |m| (m * inner).min(line.len()));
            want.extend_from_slice(&line[line.len() - keep..]);
        }
        prop_assert_eq!(&all(&array)[..], bytemuck::cast_slice::<u16, u8>(&want));
        prop_assert_eq!(array.shape()[axis], (dims[axis] + more).min(most.unwrap_or(usize::MAX)));
        check_whole(&array);
    }
}

#[test]
fn only_the_last_chunks_are_touched_and_whole_ones_go() {
    let options = options(4096, Policy::Lz4);
    let mut array = Array::filled(&Shape::from([0, 256]), Scalar::of(0f32), &options).unwrap();
    let one = Shape::from([1, 256]);
    for i in 0..41 {
        let row: Vec<u8> = (0..256).flat_map(|_| (i as f32).to_le_bytes()).collect();
        array.append(0, &row, &one, None, &options, LIMIT).unwrap();
    }
    let encoded = |array: &Array| -> Vec<bool> {
        array.chunks().unwrap().stored().map(|(_, c)| matches!(c.encoding(), Encoding::Lz4(_))).collect()
    };
    assert_eq!(&array.chunks().unwrap().chunk_shape()[..], [4, 256]);
    let mut want = vec![true; 10];
    want.push(false);
    assert_eq!(encoded(&array), want, "full ones are encoded, the last is open");
    let at = |array: &Array| -> Vec<(u64, *const u8)> {
        array.chunks().unwrap().stored().map(|(n, c)| (n, c.stored_bytes().as_ptr())).collect()
    };
    let before = at(&array);
    let row = [0; 1024];
    array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
    // 42 rows came, 20 are left: 22 are gone, five chunks of four and two hidden ones.
    assert_eq!((array.shape()[0], array.chunks().unwrap().front()), (20, (2, 5)));
    assert_eq!(at(&array)[..5], before[5..10]);
    array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
    assert_eq!(array.chunks().unwrap().front(), (3, 5));
    array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
    assert_eq!((array.chunks().unwrap().front(), at(&array)[0]), ((0, 6), before[6]));
    check_whole(&array);
}

#[test]
fn a_long_array_grows_as_cheaply_as_a_short_one() {
    // No clock: nothing but the last chunk is looked at, so it does not matter that the array is a pebibyte.
    let options = options(65536, Policy::Raw);
    let mut array = Array::filled(&Shape::from([1 << 40, 256]), Scalar::of(0f32), &options).unwrap();
    for _ in 0..1000 {
        array.append(0, &[1; 1024], &Shape::from([1, 256]), Some(1 << 40), &options, LIMIT).unwrap();
    }
    assert_eq!((array.shape()[0], array.stored_bytes()), (1 << 40, 1000 * 1024));
    assert_eq!(array.element((1 << 48) - 1).unwrap().to_le_bytes()[..4], [1; 4]);
}

#[test]
fn err_values_that_do_not_fit() {
    let options = StoreOptions::default();
    let mut array = Array::filled(&Shape::from([2, 3]), Scalar::of(0u8), &options).unwrap();
    let mut refused = |axis, value: &[usize]| {
        let shape = Shape::new(value).unwrap();
        let bytes = vec![0; shape.checked_size().unwrap()];
        array.append(axis, &bytes, &shape, None, &options, LIMIT).unwrap_err().to_string()
    };
    let text = "(it must have as many axes, and the same lengths but for that one)";
    assert_eq!(
        refused(0, &[1, 4]),
        format!("SHAPE a value of shape (1, 4) cannot be appended to an array of shape (2, 3) along axis 0 {text}")
    );
    assert_eq!(
        refused(-1, &[3]),
        format!("SHAPE a value of shape (3,) cannot be appended to an array of shape (2, 3) along axis 1 {text}")
    );
    assert_eq!(refused(2, &[1, 3]), "INDEX axis 2 is out of bounds for an array of 2 dimensions (use -2 to 1)");
    let mut scalar = Array::filled(&Shape::scalar(), Scalar::of(0u8), &options).unwrap();
    let error = scalar.append(0, &[1], &Shape::scalar(), None, &options, LIMIT).unwrap_err().to_string();
    assert_eq!(error, "INDEX axis 0 is out of bounds for an array of 0 dimensions");
}
