//! Category sets, interned: every mask gets one number.

use std::collections::HashMap;

use filter_ebpf::tables::{Line, sets::MAX_SETS};

use super::ImageError;

/// The masks seen so far; set 0 is the empty one.
#[derive(Debug)]
pub(super) struct Sets {
    numbers: HashMap<u64, u16>,
    masks: Vec<u64>,
    /// Sets with exceptions, by what they list and what they except.
    pairs: HashMap<(u64, u64), u16>,
    excepting: Option<u32>,
    /// The last question: neighbours in a list ask the same.
    last: (u64, u16),
}

impl Sets {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::from([(0, 0)]),
            masks: vec![0],
            pairs: HashMap::new(),
            excepting: None,
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
                let number = u16::try_from(self.masks.len()).map_err(|_| self.full())?;
                self.masks.push(mask);
                self.numbers.insert(mask, number);
                number
            }
        };
        self.last = (mask, number);
        Ok(number)
    }

    /// The number of a set with exceptions; see
    /// [`filter_ebpf::tables::sets`]. Comes after every plain set.
    pub(super) fn intern_excepting(
        &mut self,
        listed: u64,
        excepted: u64,
    ) -> Result<u16, ImageError> {
        self.excepting.get_or_insert(self.masks.len() as u32);
        if let Some(&number) = self.pairs.get(&(listed, excepted)) {
            return Ok(number);
        }
        let number = u16::try_from(self.masks.len() + 1).map_err(|_| self.full())? - 1;
        self.masks.extend([listed, excepted]);
        self.pairs.insert((listed, excepted), number);
        Ok(number)
    }

    /// `Config::excepting`.
    pub(super) fn excepting(&self) -> u32 {
        self.excepting.unwrap_or(u32::MAX)
    }

    fn full(&self) -> ImageError {
        ImageError::TooMany {
            what: "combinations of categories that share names or addresses",
            count: self.masks.len() as u64,
            max: MAX_SETS as u64 - 1,
        }
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
