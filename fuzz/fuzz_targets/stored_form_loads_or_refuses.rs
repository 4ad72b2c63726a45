#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| redis_ndarray_fuzz::laws::stored_form_loads_or_refuses(input));
