#![no_main]

use filter_fuzz::{Random, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The cuts follow from the input, so that a finding stays one.
    let mut random = Random::new(1, input.len() as u64);
    if let Err(difference) = Target::Tls.compare(input, &mut random) {
        panic!("{difference}");
    }
});
