//! The laws of the fuzz targets over seeded random inputs: a few seconds, the same inputs every time, any toolchain.
//!
//! `make fuzz` gives the same laws to a fuzzer, for as long as one likes.

#[path = "../fuzz/src/laws.rs"]
mod laws;

/// Inputs of each law.
const INPUTS: u64 = 30_000;

/// A simple generator (SplitMix64): the numbers need be many, not good.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Words that texts of the formats are made of.
const WORDS: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    ",",
    ":",
    "::",
    "-1",
    "0",
    "1",
    "2",
    "7",
    "...",
    "None",
    "True",
    "False",
    "1e5",
    "-0",
    "-0.0",
    "nan",
    "-inf",
    "1+2j",
    "\"1+2j\"",
    "j",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e308",
    "1e-320",
    "65504",
    "255",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
    "'descr': '>c16'",
    " ",
    "\n",
];

fn input(random: &mut Random) -> Vec<u8> {
    let mut input: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
    match random.below(4) {
        0 => {
            for _ in 0..random.below(12) {
                input.extend_from_slice(WORDS[random.below(WORDS.len())].as_bytes());
            }
        }
        1 => input.extend((0..random.below(400)).map(|_| random.next() as u8)),
        2 => {
            let byte = random.next() as u8;
            input.resize(input.len() + random.below(300), byte);
        }
        _ => {}
    }
    input
}

fn hold(name: &str, law: laws::Law) {
    let mut random = Random(u64::from_le_bytes(std::array::from_fn(|i| name.as_bytes()[i])));
    for _ in 0..INPUTS {
        let input = input(&mut random);
        if std::panic::catch_unwind(|| law(&input)).is_err() {
            panic!("{name} does not hold for {input:?}");
        }
    }
}

macro_rules! laws {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            hold(stringify!($name), laws::$name);
        })*

        #[test]
        fn every_law_is_a_test_and_a_fuzz_target() {
            let names: Vec<&str> = laws::LAWS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let manifest = include_str!("../fuzz/Cargo.toml");
            for name in names {
                assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in fuzz/Cargo.toml");
            }
        }
    };
}

laws! {
    npy_reads_or_refuses npz_reads_or_refuses arrow_reads_or_refuses json_round_trips index_resolves_in_bounds
    stored_form_loads_or_refuses chunk_decodes_or_refuses grid_reads_as_one_buffer changes_are_those_of_one_buffer
    number_text_round_trips array2string_terminates recipes_fill_or_refuse
}
