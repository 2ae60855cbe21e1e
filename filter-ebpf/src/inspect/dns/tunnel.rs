//! Tunnels in names (D04): data upwards goes as long labels that no person
//! looks up. They are counted per room and bounded in rate, which leaves a
//! tunnel a few bytes per second and a page of odd hosts untouched.

use core::ops::ControlFlow;

use crate::abi::{NAME_MAX, pod};
use crate::bpf::{Step, opaque, repeat};

/// Bytes below the registered domain from which a name counts as long: names
/// of content networks have up to about fifty (googlevideo's 28, load
/// balancers' 40 to 55), a tunnel needs as many as it can get.
pub(super) const LONG: u32 = 60;
/// Long names at once, and how long one takes to come back, in nanoseconds.
pub(super) const BURST: u32 = 60;
const REFILL: u64 = 1_000_000_000;

/// Whether the first `len` bytes of `name` hold [`LONG`] bytes or more before
/// the last two labels.
#[inline(always)]
pub fn is_long(name: &[u8; NAME_MAX], len: u32) -> bool {
    // Shorter names cannot, and longer ones surely do: a label has at most
    // 63 bytes (RFC 1035 §2.3.4).
    if len < LONG + 4 {
        return false;
    }
    let mut labels = Labels {
        name,
        at: len,
        dots: 0,
    };
    repeat(128, &mut labels);
    labels.at >= LONG
}

/// The walk from a name's end to the start of its last two labels.
struct Labels<'a> {
    name: &'a [u8; NAME_MAX],
    at: u32,
    dots: u32,
}

impl Step for Labels<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        if self.at == 0 {
            return ControlFlow::Break(());
        }
        self.at = self.at.wrapping_sub(1);
        let at = opaque(u64::from(self.at)) as usize & (NAME_MAX - 1);
        self.dots += u32::from(self.name[at] == b'.');
        if self.dots == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A room's long names of late. All zero at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// When the last token came back, on the kernel's clock.
    filled: u64,
    /// Tokens taken.
    taken: u32,
    pub reserved: u32,
}

pod!(Bucket);

impl Bucket {
    /// Takes a token; `false`: over the rate.
    #[inline(always)]
    pub fn take(&mut self, now: u64) -> bool {
        let back = now.saturating_sub(self.filled) / REFILL;
        if back >= u64::from(self.taken) {
            self.taken = 0;
            self.filled = now;
        } else {
            self.taken = self.taken.saturating_sub(back as u32);
            self.filled = self.filled.saturating_add(back.saturating_mul(REFILL));
        }
        if self.taken >= BURST {
            return false;
        }
        self.taken = self.taken.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> bool {
        let mut name = [0; NAME_MAX];
        name[..text.len()].copy_from_slice(text.as_bytes());
        is_long(&name, text.len() as u32)
    }

    #[test]
    fn d04_long_names() {
        let labels = |bytes: usize| {
            let label = "x".repeat(bytes);
            long(&std::format!("{label}.t.example"))
        };
        assert!(labels(60));
        assert!(!labels(59));
        assert!(long(&std::format!(
            "{}.example",
            "x".repeat(200).replace("xxxx", "xxx.")
        )));
        assert!(!long("rr3---sn-4g5ednsl.googlevideo.com"));
        let elb = "internal-a1b2c3d4e5f6-1234567890.eu-central-1.elb.amazonaws.com";
        assert!(!long(elb));
    }

    #[test]
    fn d04_rate_is_bounded() {
        let mut bucket = Bucket::default();
        let start = 5 * REFILL;
        for _ in 0..BURST {
            assert!(bucket.take(start));
        }
        assert!(!bucket.take(start));
        assert!(!bucket.take(start + REFILL - 1));
        assert!(bucket.take(start + REFILL));
        assert!(!bucket.take(start + REFILL));
        let later = start + 1000 * REFILL;
        let passed = (0..100).filter(|_| bucket.take(later)).count();
        assert_eq!(passed as u32, BURST);
    }
}
