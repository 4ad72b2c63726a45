//! What tests of several files ask of an array.

use super::Array;
use crate::nd::format::rdb;
use crate::nd::memory;

/// All elements.
pub fn all(array: &Array) -> Vec<u8> {
    let mut out = Vec::new();
    array.read_run(0, array.size(), &mut out).unwrap();
    out
}

/// The accounts are right, checksums hold, blocks cover the array, the digest is that of the same elements in one buffer,
/// and all of it comes back from its stored form.
pub fn check_whole(array: &Array) {
    if let Some(chunks) = array.chunks() {
        assert_eq!(chunks.stored_bytes, chunks.map.values().map(|c| c.stored_bytes().len()).sum::<usize>());
        assert_eq!(chunks.memory, chunks.map.values().map(|c| c.memory()).sum::<usize>());
        assert!(chunks.map.values().all(|c| !chunks.is_fill(c)));
        let grid = array.grid().unwrap();
        let numbers = grid.base()..grid.base() + if grid.is_empty() { 0 } else { grid.len() };
        assert!(chunks.map.keys().all(|n| numbers.contains(n)));
    }
    array.verify().unwrap();
    let elements = all(array);
    let plain = Array::plain(array.dtype(), &array.shape(), memory::buffer_from(&elements).unwrap());
    assert_eq!(array.digest().unwrap(), plain.digest().unwrap());
    let mut seen = 0;
    array
        .blocks(|place, block| {
            seen += place.size();
            if let super::Block::Elements(bytes) = block {
                assert_eq!(bytes.len(), place.size() * array.dtype().itemsize());
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, array.size());
    let mut strings: Vec<Vec<u8>> = Vec::new();
    rdb::save::<()>(array, &mut |s| {
        strings.push(s.to_vec());
        Ok(())
    })
    .unwrap();
    let mut loaded = rdb::read_header(&strings[0]).unwrap().array;
    strings[1..].iter().for_each(|part| rdb::read_part(&mut loaded, part).unwrap());
    assert_eq!((loaded.parts_missing(), loaded.shape(), all(&loaded)), (0, array.shape(), elements));
    assert_eq!(loaded.stored_bytes(), array.stored_bytes());
}
