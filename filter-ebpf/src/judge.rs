//! The matrix: what the categories of a destination mean to a group.
//!
//! The kernel and `explain` ask the same code.

use crate::abi::{Group, GroupFlags, Reason, Verdict};

/// Bit of a category mask that marks the school's own networks.
pub const OWN_NETWORK: u64 = 1 << 63;
/// No category decided.
pub const NO_CATEGORY: u8 = 255;

/// A verdict with its reason and the category that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opinion {
    pub verdict: Verdict,
    pub reason: Reason,
    /// [`NO_CATEGORY`] where none did.
    pub category: u8,
}

/// The row of the matrix that holds now: a group's masks, with the
/// categories that grants open just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub allow: u64,
    pub deny: u64,
    pub locked: u64,
    pub granted: u64,
    /// How a denial looks.
    pub refuse: Verdict,
    /// [`GroupFlags`].
    pub flags: u32,
}

impl Row {
    /// The group's row with `granted` categories opened; locked ones stay.
    #[inline(always)]
    pub fn new(group: &Group, granted: u64) -> Self {
        let granted = granted & !group.locked;
        Self {
            allow: group.allow | granted,
            deny: (group.deny & !granted) | group.locked,
            locked: group.locked,
            granted,
            refuse: match Verdict::from_u8(group.refuse) {
                Verdict::Reject => Verdict::Reject,
                Verdict::Drop | Verdict::Pass => Verdict::Drop,
            },
            flags: group.flags,
        }
    }

    /// A denial.
    #[inline(always)]
    pub fn deny(&self, reason: Reason, category: u8) -> Opinion {
        Opinion {
            verdict: self.refuse,
            reason,
            category,
        }
    }

    /// Whether nothing can be passed before its name is known.
    #[inline(always)]
    pub fn by_name(&self) -> bool {
        self.flags & GroupFlags::BY_NAME != 0
    }

    /// Whether everything is open that nothing speaks against.
    #[inline(always)]
    pub fn default_open(&self) -> bool {
        self.flags & GroupFlags::DEFAULT_OPEN != 0
    }

    /// What the categories of the destination's address say, if anything.
    ///
    /// Within one address allow beats deny, locked beats both.
    #[inline(always)]
    pub fn range(&self, mask: u64) -> Option<Opinion> {
        self.decide(mask, Reason::RangeAllowed, Reason::RangeDenied)
    }

    /// What the categories of one name say, if anything. Ask the most
    /// specific name first; but see [`Row::is_locked`].
    #[inline(always)]
    pub fn name(&self, mask: u64) -> Option<Opinion> {
        self.decide(mask, Reason::NameAllowed, Reason::NameDenied)
    }

    /// Whether a mask has a locked category: it denies whatever else matches.
    #[inline(always)]
    pub fn is_locked(&self, mask: u64) -> bool {
        mask & self.locked != 0
    }

    #[inline(always)]
    fn decide(&self, mask: u64, allowed: Reason, denied: Reason) -> Option<Opinion> {
        if mask & self.locked != 0 {
            return Some(self.deny(Reason::Locked, lowest(mask & self.locked)));
        }
        let allow = mask & self.allow;
        if allow != 0 {
            let own = allow & !self.granted;
            let (reason, category) = if own != 0 {
                (allowed, lowest(own))
            } else {
                (Reason::Granted, lowest(allow))
            };
            return Some(Opinion {
                verdict: Verdict::Pass,
                reason,
                category,
            });
        }
        let deny = mask & self.deny;
        if deny != 0 {
            return Some(self.deny(denied, lowest(deny)));
        }
        None
    }

    /// The end of the order: open, or allow-listed-only.
    #[inline(always)]
    pub fn default(&self) -> Opinion {
        if self.default_open() {
            Opinion {
                verdict: Verdict::Pass,
                reason: Reason::DefaultOpen,
                category: NO_CATEGORY,
            }
        } else {
            self.deny(Reason::NotListed, NO_CATEGORY)
        }
    }

    /// What cannot be judged: the group's verdict for it, as the policy wrote
    /// it, with its reason.
    #[inline(always)]
    pub fn unjudged(&self, verdict: u8, reason: Reason) -> Opinion {
        Opinion {
            verdict: Verdict::from_u8(verdict),
            reason,
            category: NO_CATEGORY,
        }
    }
}

/// Number of the lowest category in a mask that is not empty.
///
/// By halving instead of `trailing_zeros`: BPF has no such instruction and
/// LLVM would spell it with a table.
#[inline(always)]
pub fn lowest(mask: u64) -> u8 {
    let mut mask = mask;
    let mut number = 0;
    if mask & 0xffff_ffff == 0 {
        mask >>= 32;
        number += 32;
    }
    if mask & 0xffff == 0 {
        mask >>= 16;
        number += 16;
    }
    if mask & 0xff == 0 {
        mask >>= 8;
        number += 8;
    }
    if mask & 0xf == 0 {
        mask >>= 4;
        number += 4;
    }
    if mask & 0x3 == 0 {
        mask >>= 2;
        number += 2;
    }
    if mask & 1 == 0 {
        number += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(allow: u64, deny: u64, locked: u64, granted: u64) -> Row {
        let group = Group {
            allow,
            deny,
            locked,
            refuse: Verdict::Reject as u8,
            ..Group::default()
        };
        Row::new(&group, granted)
    }

    fn verdict(opinion: Option<Opinion>) -> Option<(Verdict, Reason, u8)> {
        opinion.map(|o| (o.verdict, o.reason, o.category))
    }

    #[test]
    fn lowest_is_trailing_zeros() {
        for bit in 0..64 {
            assert_eq!(lowest(1 << bit), bit);
            assert_eq!(lowest(u64::MAX << bit), bit);
        }
    }

    #[test]
    fn locked_beats_allow_beats_deny() {
        let row = row(0b0011, 0b0110, 0b1000, 0);
        assert_eq!(verdict(row.name(0)), None);
        assert_eq!(verdict(row.name(0b10000)), None);
        assert_eq!(
            verdict(row.name(0b0100)),
            Some((Verdict::Reject, Reason::NameDenied, 2))
        );
        assert_eq!(
            verdict(row.name(0b0110)),
            Some((Verdict::Pass, Reason::NameAllowed, 1))
        );
        assert_eq!(
            verdict(row.name(0b1001)),
            Some((Verdict::Reject, Reason::Locked, 3))
        );
        assert_eq!(
            verdict(row.range(0b0100)),
            Some((Verdict::Reject, Reason::RangeDenied, 2))
        );
    }

    #[test]
    fn a_grant_opens_what_is_denied_but_never_what_is_locked() {
        let row = row(0, 0b0110, 0b1000, 0b1010);
        assert_eq!(
            verdict(row.name(0b0010)),
            Some((Verdict::Pass, Reason::Granted, 1))
        );
        assert_eq!(
            verdict(row.name(0b0100)),
            Some((Verdict::Reject, Reason::NameDenied, 2))
        );
        assert_eq!(
            verdict(row.name(0b1000)),
            Some((Verdict::Reject, Reason::Locked, 3))
        );
    }

    #[test]
    fn a_denial_never_passes_whatever_the_policy_wrote() {
        for raw in 0..=255 {
            let group = Group {
                deny: 1,
                refuse: raw,
                ..Group::default()
            };
            let opinion = Row::new(&group, 0).name(1);
            assert!(opinion.is_some_and(|o| o.verdict != Verdict::Pass), "{raw}");
        }
    }
}
