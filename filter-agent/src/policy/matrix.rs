//! Groups × categories: the rows as masks, and which cell speaks.

use filter_ebpf::abi::{self, GroupFlags};
use jiff::civil::Date;

use super::{Category, Cell, Decision, Group, Policy};

/// What the matrix says of a group and a category on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'p> {
    pub allow: bool,
    /// Neither an allow nor a grant opens it.
    pub locked: bool,
    /// Line of the rule in the policy.
    pub line: usize,
    /// The decision behind it: the cell's, else the category's or group's.
    pub decision: Option<&'p Decision>,
}

impl Group {
    /// The cell of a category, if it holds on this day.
    pub fn cell(&self, category: usize, date: Date) -> Option<&Cell> {
        let holds = |cell: &&Cell| cell.until.is_none_or(|until| date <= until);
        self.cells
            .iter()
            .find(|cell| cell.category == category)
            .filter(holds)
    }
}

impl Policy {
    /// What the matrix says; `None` when it says nothing and the group's
    /// default rules.
    pub fn answer(&self, group: usize, category: usize, date: Date) -> Option<Answer<'_>> {
        let (group, category_of) = (self.groups.get(group)?, self.categories.get(category)?);
        let cell = group.cell(category, date);
        if category_of.locked {
            return Some(Answer {
                allow: false,
                locked: true,
                line: cell.map_or(category_of.line, |cell| cell.line),
                decision: behind(cell, category_of, group),
            });
        }
        cell.map(|cell| Answer {
            allow: cell.allow,
            locked: cell.locked,
            line: cell.line,
            decision: behind(Some(cell), category_of, group),
        })
    }

    /// The row of a group as the kernel reads it.
    pub fn row(&self, at: usize, date: Date) -> abi::Group {
        let Some(group) = self.groups.get(at) else {
            return abi::Group::default();
        };
        let mut row = abi::Group {
            refuse: group.refuse as u8,
            unnamed: group.unnamed as u8,
            encrypted_name: group.encrypted_name as u8,
            undecodable: group.undecodable as u8,
            tunnel: group.tunnels as u8,
            fragment: group.fragments as u8,
            quic: group.quic as u8,
            ..abi::Group::default()
        };
        for (category, this) in self.categories.iter().enumerate().take(abi::MAX_CATEGORIES) {
            let bit = 1u64 << category;
            if this.ech_provider {
                row.ech_providers |= bit;
            }
            let Some(answer) = self.answer(at, category, date) else {
                continue;
            };
            if answer.allow {
                row.allow |= bit;
            } else {
                row.deny |= bit;
            }
            if answer.locked {
                row.locked |= bit;
            }
        }
        // Names are read for every group: `block HOST` reaches each of them
        // at once, whatever its categories say.
        row.flags = GroupFlags::BY_NAME;
        row.safe_search = group.safe_search;
        let flags = [
            (group.open, GroupFlags::DEFAULT_OPEN),
            (group.school_dns, GroupFlags::SCHOOL_DNS),
            (group.safe_search != 0, GroupFlags::SAFE_SEARCH),
            (group.strip_ech, GroupFlags::STRIP_ECH),
        ];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            row.flags |= flag;
        }
        row
    }
}

fn behind<'p>(
    cell: Option<&'p Cell>,
    category: &'p Category,
    group: &'p Group,
) -> Option<&'p Decision> {
    let own = cell.and_then(|cell| cell.decision.as_ref());
    own.or(category.decision.as_ref())
        .or(group.decision.as_ref())
}
