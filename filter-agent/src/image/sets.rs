//! Category sets, interned: every mask gets one number.

use std::collections::HashMap;

use filter_ebpf::tables::{Line, sets::MAX_SETS};

use super::ImageError;

/// The masks seen so far; set 0 is the empty one.
#[derive(Debug)]
pub(super) struct Sets {
    numbers: HashMap<u64, u16>,
    masks: Vec<u64>,
    /// The last question: neighbours in a list ask the same.
    last: (u64, u16),
}

impl Sets {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::from([(0, 0)]),
            masks: vec![0],
            last: (0, 0),
        }
    }

    /// The number of a mask.
    pub(super) fn intern(&mut self, mask: u64) -> Result<u16, ImageError> {
        if self.last.0 == mask {
            return Ok(self.last.1);
        }
        let number = match self.numbers.get(&mask) {
            Some(&number) => number,
            None => {
                let number = u16::try_from(self.masks.len()).map_err(|_| ImageError::TooMany {
                    what: "combinations of categories that share names or addresses",
                    count: self.masks.len() as u64,
                    max: MAX_SETS as u64 - 1,
                })?;
                self.masks.push(mask);
                self.numbers.insert(mask, number);
                number
            }
        };
        self.last = (mask, number);
        Ok(number)
    }

    /// Sets in use, the empty one included.
    pub(super) fn len(&self) -> u32 {
        self.masks.len() as u32
    }

    /// The table that [`filter_ebpf::tables::sets`] reads.
    pub(super) fn table(&self) -> Vec<Line> {
        self.masks
            .chunks(8)
            .map(|masks| {
                let mut line = [0; 8];
                line[..masks.len()].copy_from_slice(masks);
                line
            })
            .collect()
    }
}
