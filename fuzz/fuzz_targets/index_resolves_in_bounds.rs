#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| redis_ndarray_fuzz::laws::index_resolves_in_bounds(input));
