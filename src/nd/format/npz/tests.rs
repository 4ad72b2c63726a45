//! Names, archives read back, and those that lie about themselves.

use super::*;

fn array(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    (npy::header(Dtype::UInt8, &Shape::from([3])).unwrap(), bytes)
}

fn add(writer: &mut Writer, name: &[u8], bytes: &[u8]) -> Result<bool> {
    let (header, bytes) = array(bytes);
    writer.member(name, &header, &mut bytes.chunks(2))
}

#[test]
fn names_are_keys_made_safe() {
    for (key, name) in [
        (&b"user:1"[..], "user:1.npy"),
        (b"", ".npy"),
        (b"a/b", "a/b.npy"),
        (b"/a", "%2Fa.npy"),
        (b"//a", "%2F/a.npy"),
        (b"../a", "%2E%2E/a.npy"),
        (b"a/./..", "a/%2E/%2E%2E.npy"),
        (b"...", "....npy"),
        (b"50%\\\n", "50%25%5C%0A.npy"),
        ("é".as_bytes(), "é.npy"),
        (b"\xff\xfea", "%FF%FEa.npy"),
    ] {
        assert_eq!(member_name(key), name);
    }
}

#[test]
fn what_is_written_reads_back() {
    for zip64_from in [u64::from(IN_ZIP64), 0, 150] {
        let mut writer = Writer { zip64_from, ..Writer::with_capacity(0).unwrap() };
        assert!(add(&mut writer, b"a", &[1, 2, 3]).unwrap());
        assert!(add(&mut writer, b"b", &[4, 5, 6]).unwrap());
        assert!(!add(&mut writer, b"a", &[7, 8, 9]).unwrap());
        let file = writer.finish();
        assert_eq!(names(&file).unwrap(), [b"a", b"b"]);
        assert_eq!(read_member(&file, b"a", 3).unwrap(), (Dtype::UInt8, Shape::from([3]), vec![1, 2, 3]));
        assert_eq!(read_member(&file, b"b.npy", 3).unwrap().2, [4, 5, 6]);
    }
    assert_eq!(names(&Writer::with_capacity(0).unwrap().finish()).unwrap().len(), 0);
}

#[test]
fn more_members_than_a_plain_end_record_counts() {
    let mut writer = Writer::with_capacity(0).unwrap();
    for i in 0..70_000u32 {
        assert!(add(&mut writer, &i.to_le_bytes(), &[0, 1, 2]).unwrap());
    }
    let file = writer.finish();
    assert_eq!(names(&file).unwrap().len(), 70_000);
}

#[test]
fn pieces_that_do_not_fit_the_header_are_refused() {
    let mut writer = Writer::with_capacity(0).unwrap();
    assert_eq!(add(&mut writer, b"a", &[1, 2]).unwrap_err().code(), "SHAPE");
    assert_eq!(add(&mut writer, b"b", &[1, 2, 3, 4, 5]).unwrap_err().code(), "SHAPE");
    assert_eq!(add(&mut writer, &[b'x'; 70_000], &[1, 2, 3]).unwrap_err().code(), "LIMIT");
}

/// An archive of one member with these bytes, compressed as said.
fn archive(method: u16, stored: &[u8], crc: u32) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&LOCAL);
    push_all(&mut file, &[20, 0, method, 0, DATE]);
    file.extend_from_slice(&[0; 12]);
    push_all(&mut file, &[5, 0]);
    file.extend_from_slice(b"a.npy");
    file.extend_from_slice(stored);
    let start = file.len() as u32;
    file.extend_from_slice(&CENTRAL);
    push_all(&mut file, &[20, 20, 0, method, 0, DATE]);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    file.extend_from_slice(&1u32.to_le_bytes()); // the uncompressed size lies
    push_all(&mut file, &[5, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(b"a.npy");
    let size = file.len() as u32 - start;
    file.extend_from_slice(&END);
    push_all(&mut file, &[0, 0, 1, 1]);
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0; 2]);
    file
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::DeflateEncoder::new(bytes, flate2::Compression::best()).read_to_end(&mut out).unwrap();
    out
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn bombs_are_stopped_by_the_members_own_header() {
    let small = npy::header(Dtype::UInt8, &Shape::from([3])).unwrap();
    let bomb = [small, vec![0; 10 << 20]].concat();
    let refused = read_member(&archive(DEFLATED, &deflated(&bomb), crc(&bomb)), b"a", usize::MAX).unwrap_err();
    assert!(refused.to_string().contains("oversized"), "{refused}");
    // A header that promises 2^60 bytes is believed only as far as the bytes behind it could reach.
    let promise = npy::header(Dtype::UInt8, &Shape::from([1 << 60])).unwrap();
    for (method, stored) in [(STORED, promise.clone()), (DEFLATED, deflated(&promise))] {
        let file = archive(method, &stored, crc(&promise));
        assert_eq!(read_member(&file, b"a", usize::MAX).unwrap_err().code(), "CORRUPT");
        assert_eq!(read_member(&file, b"a", 1 << 30).unwrap_err().code(), "LIMIT");
    }
}

#[test]
fn a_wrong_checksum_and_a_foreign_method_are_refused() {
    let npy = [npy::header(Dtype::UInt8, &Shape::from([3])).unwrap(), vec![1, 2, 3]].concat();
    assert_eq!(read_member(&archive(STORED, &npy, crc(&npy)), b"a", 9).unwrap().2, [1, 2, 3]);
    let refused = read_member(&archive(STORED, &npy, 7), b"a", 9).unwrap_err();
    assert!(refused.to_string().contains("checksum"), "{refused}");
    let refused = read_member(&archive(12, &npy, crc(&npy)), b"a", 9).unwrap_err();
    assert!(refused.to_string().contains("compression method 12"), "{refused}");
}
