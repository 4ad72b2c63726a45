//! Laws over every encoding, and what the chooser picks.

use proptest::prelude::*;

use super::*;
use crate::nd::dtype::Dtype;

const SIZES: [usize; 5] = [1, 2, 4, 8, 16];

proptest! {
    #[test]
    fn every_encoding_gives_back_what_it_was_given(
        items in proptest::collection::vec(0u8..8, 1..700),
        size in prop::sample::select(SIZES.to_vec()),
        steps in any::<bool>(),
        start in 0usize..8,
    ) {
        let mut bytes = if steps { items.iter().scan(0u8, |s, i| { *s = s.wrapping_add(*i); Some(*s) }).collect() } else { items };
        bytes = bytes.repeat(size);
        bytes.splice(0..0, vec![0; start]);
        let bytes = &bytes[start..start + (bytes.len() - start) / size * size]; // aligned to nothing
        for encoding in Encoding::ALL.iter().filter(|e| **e != Encoding::Fill && e.suits(size)) {
            let mut out = vec![7; 3];
            encoding.encode(bytes, size, 3, &mut out);
            prop_assert_eq!(&out[..3], &[7; 3], "what was there stays");
            if *encoding != Encoding::Raw && out.len() - 3 >= bytes.len() && out[3..] == *bytes {
                continue; // could not be encoded: the chooser keeps it raw
            }
            let mut back = vec![0xAA; bytes.len() + 1];
            encoding.decode(&out[3..], size, &mut back[1..]).unwrap();
            prop_assert_eq!(&back[1..], bytes, "{:?}", encoding);
            // A wrong length is an error, never a short or a long answer. (pco may go on with what it was doing.)
            let mut longer = vec![0; bytes.len() + size];
            let refused = encoding.decode(&out[3..], size, &mut longer).is_err();
            prop_assert!(refused || matches!(encoding, Encoding::Pco(_)), "{:?}", encoding);
        }
    }

    #[test]
    fn every_encoding_survives_any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        size in prop::sample::select(SIZES.to_vec()),
        items in 0usize..100,
    ) {
        for encoding in Encoding::ALL {
            let _ = encoding.decode(&bytes, size, &mut vec![0; size * items]);
        }
    }

    #[test]
    fn every_encoding_survives_damage(
        items in proptest::collection::vec(0u8..50, 1..600),
        size in prop::sample::select(SIZES.to_vec()),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = items.repeat(size);
        for encoding in Encoding::ALL.iter().filter(|e| **e != Encoding::Fill && e.suits(size)) {
            let mut out = Vec::new();
            encoding.encode(&bytes, size, 3, &mut out);
            let mut back = vec![0; bytes.len()];
            prop_assert!(encoding.decode(&out[..cut.index(out.len())], size, &mut back).is_err(), "{:?} cut", encoding);
            for (at, byte) in &edits {
                let at = at.index(out.len());
                out[at] = *byte;
            }
            let _ = encoding.decode(&out, size, &mut back);
        }
    }
}

#[test]
fn numbers_and_names_are_the_stored_ones() {
    // FORMAT.md: a number is never given another meaning.
    let named: Vec<(u8, String)> = Encoding::ALL.iter().map(|e| (e.code(), e.name(4).into_owned())).collect();
    for (code, name) in [
        (0x00, "raw"),
        (0x01, "fill"),
        (0x02, "lz4+shuffle"),
        (0x12, "lz4"),
        (0x22, "lz4+bitshuffle"),
        (0x42, "lz4+delta+shuffle"),
        (0x52, "lz4+delta"),
        (0x62, "lz4+delta+bitshuffle"),
        (0x03, "zstd+shuffle"),
        (0x13, "zstd"),
        (0x23, "zstd+bitshuffle"),
        (0x43, "zstd+delta+shuffle"),
        (0x53, "zstd+delta"),
        (0x63, "zstd+delta+bitshuffle"),
        (0x04, "pco"),
        (0x14, "pco"),
        (0x24, "pco"),
        (0x34, "pco"),
    ] {
        assert!(named.contains(&(code, name.to_owned())), "{code:#x} {name}");
    }
    for code in 0..=255 {
        assert_eq!(Encoding::from_code(code).map(Encoding::code), Encoding::from_code(code).map(|_| code));
    }
    assert_eq!((0..=255).filter(|c| Encoding::from_code(*c).is_some()).count(), Encoding::ALL.len());
    assert_eq!(Encoding::Lz4(Filter::BYTES).name(1), "lz4");
}

/// The chunk of docs/FORMAT.md: what files have held from the first day on.
#[test]
fn a_documented_chunk_is_read() {
    let stored = [&[0xff, 0x02][..], &(0..16).collect::<Vec<u8>>(), &[0, 1, 0, 0x16, 0x60, 0, 0, 0, 0, 0, 0]].concat();
    let mut out = [0; 64];
    Encoding::from_code(2).unwrap().decode(&stored, 4, &mut out).unwrap();
    assert_eq!(&out[..], (0..16u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
}

#[test]
fn policies_read_as_they_are_written() {
    for code in 0..=255 {
        if let Some(policy) = Policy::from_code(code) {
            assert_eq!(policy.code(), code);
            let compression = if let Policy::Auto(c) = policy { c } else { Compression::Speed };
            assert_eq!(Policy::parse(policy.name().to_uppercase().as_bytes(), compression).unwrap(), policy);
        }
    }
    let parse = |text: &str| Policy::parse(text.as_bytes(), Compression::Balanced);
    assert_eq!(parse("zstd"), Ok(Policy::Zstd(3)));
    assert_eq!(parse("PCO:0"), Ok(Policy::Pco(0)));
    assert_eq!(parse("Auto"), Ok(Policy::Auto(Compression::Balanced)));
    for wrong in [
        "", "zip", "lz4:1", "raw:", "auto:1", "zstd:", "zstd:0", "zstd:20", "zstd:+1", "zstd:1:1", "zstd:300",
        "pco:13", "pco:",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

fn noise(n: usize) -> Vec<u8> {
    let mut x = 1u64;
    let mut next = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((x >> 11) as f64 / (1u64 << 53) as f64).to_le_bytes()
    };
    (0..n).flat_map(|_| next()).collect()
}

fn chosen(policy: Policy, dtype: Dtype, bytes: &[u8], sampled: bool) -> Encoding {
    let chooser = Chooser::new(policy, dtype, bytes.len(), |s, n| sampled.then(|| &bytes[s..s + n]));
    let mut out = Vec::new();
    let encoding = chooser.encode(bytes, &mut out);
    if encoding != Encoding::Raw {
        let mut back = vec![0; bytes.len()];
        encoding.decode(&out, dtype.itemsize(), &mut back).unwrap();
        assert_eq!(back, bytes);
    }
    encoding
}

#[test]
fn auto_keeps_noise_raw_and_encodes_what_pays() {
    let counters: Vec<u8> = (0..8192i64).flat_map(i64::to_le_bytes).collect();
    for compression in Compression::ALL {
        let auto = Policy::Auto(*compression);
        for sampled in [true, false] {
            let of_noise = chosen(auto, Dtype::Float64, &noise(8192), sampled); // eleven bits of each number are always the same
            assert_eq!(of_noise == Encoding::Raw, *compression != Compression::Size, "{of_noise:?}");
            assert_eq!(chosen(auto, Dtype::Float64, &[0; 65536], sampled), Encoding::Fill);
            let way = chosen(auto, Dtype::Int64, &counters, sampled);
            assert_eq!(matches!(way, Encoding::Lz4(_)), *compression == Compression::Speed, "{way:?}");
            assert!(way != Encoding::Raw);
        }
    }
}

#[test]
fn the_filter_that_suits_is_found() {
    let mut x = 7u32;
    let mut random = |n: u32| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) % n
    };
    let labels: Vec<u8> = (0..16384).flat_map(|_| u64::from(random(1000)).to_le_bytes()).collect();
    let sorted: Vec<u8> = (0..16384)
        .scan(1u64 << 40, |at, _| {
            *at += 1 + u64::from(random(200));
            Some(at.to_le_bytes())
        })
        .flatten()
        .collect();
    let of = |bytes: &[u8]| match chosen(Policy::Lz4, Dtype::UInt64, bytes, true) {
        Encoding::Lz4(filter) => filter,
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&labels), Filter { delta: false, shuffle: Shuffle::Bits });
    assert!(of(&sorted).delta);
}

#[test]
fn half_noise_is_judged_chunk_by_chunk() {
    let narrow = noise(16 << 10).chunks(8).flat_map(|b| [0, 0, 0, b[0], b[1], b[2], b[3], b[4]]).collect();
    let bytes = [noise(48 << 10), narrow].concat();
    let chooser = Chooser::new(Policy::default(), Dtype::Float64, bytes.len(), |s, n| Some(&bytes[s..s + n]));
    assert!(!chooser.is_settled() && !chooser.keeps_raw());
    let mut out = Vec::new();
    assert_eq!(chooser.encode(&bytes[..65536], &mut out), Encoding::Raw);
    assert!(out.is_empty() && chooser.stays_raw(&bytes[..65536]));
    assert!(matches!(chooser.encode(&bytes[bytes.len() - 65536..], &mut out), Encoding::Lz4(_)));
}
