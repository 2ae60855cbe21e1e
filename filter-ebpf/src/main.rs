//! The BPF object: maps and entry points only.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod kernel;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no path leads here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
