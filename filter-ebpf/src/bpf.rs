//! The few things that differ between kernel and host.

use core::ops::ControlFlow;

/// A state that is stepped until it breaks: the body of a loop that the
/// verifier must not unroll.
pub trait Step {
    /// One turn of the loop.
    fn step(&mut self) -> ControlFlow<()>;
}

/// Steps `state` at most `max` times.
///
/// In the kernel this is `bpf_loop` (kernel/bpf/bpf_iter.c): the verifier
/// looks at one turn only, whatever `max` is.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub fn repeat<S: Step>(max: u32, state: &mut S) {
    use core::ffi::c_void;

    extern "C" fn turn<S: Step>(_index: u64, state: *mut c_void) -> i64 {
        // SAFETY: `bpf_loop` hands back the pointer given below, which
        // outlives the call and is borrowed by nobody else.
        let state = unsafe { &mut *state.cast::<S>() };
        i64::from(state.step().is_break())
    }

    // SAFETY: the callback has the signature that bpf_loop expects.
    unsafe {
        aya_ebpf::helpers::generated::bpf_loop(
            max,
            turn::<S> as *mut c_void,
            (&raw mut *state).cast(),
            0,
        );
    }
}

/// Steps `state` at most `max` times.
#[cfg(not(target_arch = "bpf"))]
pub fn repeat<S: Step>(max: u32, state: &mut S) {
    for _ in 0..max {
        if state.step().is_break() {
            break;
        }
    }
}

/// Hides a value's origin from LLVM, so that a bound established before it
/// is checked again after it, in the very register that the verifier sees.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // A move, not a mere comment: assembly without an instruction makes
        // LLVM write two source lines for one instruction, which the kernel
        // refuses ("Invalid line_info").
        // SAFETY: the assembly reads and writes one register.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack, preserves_flags));
        }
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    value
}

/// `len`, which lies in `1..=LIMIT`, in a form whose bounds the verifier sees;
/// LIMIT is a power of two. (6.1 does not learn from a comparison with 0.)
#[inline(always)]
pub fn between_one_and<const LIMIT: u32>(len: u32) -> u32 {
    const { assert!(LIMIT.is_power_of_two()) };
    (opaque(u64::from(len.wrapping_sub(1))) as u32 & (LIMIT - 1)) + 1
}
