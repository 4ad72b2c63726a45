#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| redis_ndarray_fuzz::laws::grid_reads_as_one_buffer(input));
