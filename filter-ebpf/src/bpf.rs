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

/// Eight bytes at any address, the first one lowest.
///
/// # Safety
/// Eight bytes behind `from` are readable.
#[inline(always)]
pub unsafe fn load(from: *const u8) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        // LLVM takes an unaligned word apart into bytes; the verifier allows
        // it on map memory wherever the CPU does.
        let value: u64;
        // SAFETY: by contract readable; map memory.
        unsafe {
            core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) value, in(reg) from, options(pure, readonly, nostack, preserves_flags));
        }
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: by contract readable.
    u64::from_le(unsafe { from.cast::<u64>().read_unaligned() })
}

/// Writes such eight bytes.
///
/// # Safety
/// Eight bytes behind `to` are writable.
#[inline(always)]
pub unsafe fn store(to: *mut u8, value: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: by contract writable; map memory.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) to, in(reg) value, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: by contract writable.
    unsafe {
        to.cast::<u64>().write_unaligned(value.to_le());
    }
}

/// 1 where `word` is 0, else 0: without a branch, of which the verifier would
/// follow both sides. LLVM would make one if it saw the last step.
#[inline(always)]
pub fn is_zero(word: u64) -> u32 {
    1 ^ (opaque(word | word.wrapping_neg()) >> 63) as u32
}

/// 1 where two numbers are the same, else 0.
#[inline(always)]
pub fn equal(a: u32, b: u32) -> u32 {
    is_zero(u64::from(a ^ b))
}

/// 1 where `a` is less than `b`, else 0.
#[inline(always)]
pub fn less(a: u32, b: u32) -> u32 {
    (opaque(u64::from(a).wrapping_sub(u64::from(b))) >> 63) as u32
}

/// Begins to bring a value into the cache. The processor goes on with what
/// does not need it, so several that are touched one after another take the
/// time of one.
#[inline(always)]
pub fn touch<T>(value: &T) {
    #[cfg(not(target_arch = "bpf"))]
    let _ = value;
    #[cfg(target_arch = "bpf")]
    // SAFETY: a byte of a value that is borrowed. Not `pure`, or LLVM would
    // leave out a load that nobody uses.
    unsafe {
        core::arch::asm!(
            "{0} = *(u8 *)({1} + 0)",
            out(reg) _,
            in(reg) core::ptr::from_ref(value),
            options(readonly, nostack, preserves_flags)
        );
    }
}
