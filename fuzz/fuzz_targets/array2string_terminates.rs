#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| redis_ndarray_fuzz::laws::array2string_terminates(input));
