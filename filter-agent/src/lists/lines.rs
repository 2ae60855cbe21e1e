//! A stream that can be looked at before it is read, and its lines.

use std::io::{self, Read};

/// Bytes that [`Stream::peek`] can show.
pub(super) const PEEK: usize = 64 << 10;
/// The longest line that is looked at.
pub(super) const LINE_MAX: usize = 64 << 10;
const CAPACITY: usize = 256 << 10;

/// A buffered reader.
pub(super) struct Stream<'a> {
    inner: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    /// What ends a line, once one was read.
    line_end: Option<u8>,
}

/// A line without its end.
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    /// Its first bytes.
    TooLong(&'a [u8]),
}

impl<'a> Stream<'a> {
    pub(super) fn new(inner: impl Read + 'a) -> Self {
        let buffer = vec![0; CAPACITY];
        Self {
            inner: Box::new(inner),
            buffer,
            start: 0,
            end: 0,
            ended: false,
            line_end: None,
        }
    }

    /// The next bytes, up to `PEEK` of them or what there is, left unread.
    pub(super) fn peek(&mut self) -> io::Result<&[u8]> {
        while self.end - self.start < PEEK && !self.ended {
            self.fill()?;
        }
        let end = self.end.min(self.start + PEEK);
        Ok(self.buffer.get(self.start..end).unwrap_or(&[]))
    }

    /// Skips `n` bytes that [`peek`](Self::peek) has shown.
    pub(super) fn skip(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// The next line, `None` at the end. Lines end with LF or CRLF, those of
    /// old Macintosh files with CR, the last one also without.
    pub(super) fn line(&mut self) -> io::Result<Option<Line<'_>>> {
        let line_end = match self.line_end {
            Some(line_end) => line_end,
            None => self.find_line_end()?,
        };
        let mut scanned = 0;
        loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            if let Some(at) = memchr::memchr(line_end, held.get(scanned..).unwrap_or(&[])) {
                let from = self.start;
                self.start += scanned + at + 1;
                return Ok(Some(self.shown(from, from + scanned + at)));
            }
            scanned = held.len();
            if self.ended {
                if scanned == 0 {
                    return Ok(None);
                }
                let (from, to) = (self.start, self.end);
                self.start = self.end;
                return Ok(Some(self.shown(from, to)));
            }
            if scanned > LINE_MAX {
                return self.drop_line(line_end).map(Some);
            }
            self.fill()?;
        }
    }

    fn find_line_end(&mut self) -> io::Result<u8> {
        let sample = self.peek()?;
        let of = |byte| memchr::memchr(byte, sample).is_some();
        let line_end = if of(b'\r') && !of(b'\n') {
            b'\r'
        } else {
            b'\n'
        };
        self.line_end = Some(line_end);
        Ok(line_end)
    }

    fn shown(&self, from: usize, to: usize) -> Line<'_> {
        let line = self.buffer.get(from..to).unwrap_or(&[]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.get(..LINE_MAX) {
            Some(start) if line.len() > LINE_MAX => Line::TooLong(start),
            _ => Line::Text(line),
        }
    }

    /// Reads on to the end of a line that outgrew the buffer, keeping only
    /// its start.
    fn drop_line(&mut self, line_end: u8) -> io::Result<Line<'_>> {
        let kept = LINE_MAX;
        self.buffer.copy_within(self.start..self.start + kept, 0);
        loop {
            let target = self.buffer.get_mut(kept..).unwrap_or(&mut []);
            let n = read(&mut self.inner, target)?;
            let got = self.buffer.get(kept..kept + n).unwrap_or(&[]);
            if n == 0 {
                (self.start, self.end, self.ended) = (0, 0, true);
            } else if let Some(at) = memchr::memchr(line_end, got) {
                (self.start, self.end) = (kept + at + 1, kept + n);
            } else {
                continue;
            }
            return Ok(Line::TooLong(self.buffer.get(..kept).unwrap_or(&[])));
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let target = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
        let n = read(&mut self.inner, target)?;
        self.end += n;
        self.ended = n == 0;
        Ok(())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && !self.ended {
            self.fill()?;
        }
        let held = self.buffer.get(self.start..self.end).unwrap_or(&[]);
        let n = held.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), held.get(..n)) {
            to.copy_from_slice(from);
        }
        self.start += n;
        Ok(n)
    }
}

fn read(inner: &mut dyn Read, target: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(target) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out `step` bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(self.1).min(out.len());
            let (now, later) = self.0.split_at(n);
            out[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    fn lines(data: &[u8], step: usize) -> Vec<(usize, bool)> {
        let mut stream = Stream::new(Dribble(data, step));
        let mut seen = Vec::new();
        while let Some(line) = stream.line().unwrap() {
            seen.push(match line {
                Line::Text(text) => (text.len(), false),
                Line::TooLong(start) => (start.len(), true),
            });
        }
        seen
    }

    #[test]
    fn lines_of_every_length_in_pieces_of_every_size() {
        let mut data = b"a\r\n\nbb\n".to_vec();
        for length in [
            LINE_MAX,
            LINE_MAX + 1,
            CAPACITY - 1,
            CAPACITY,
            3 * CAPACITY + 7,
        ] {
            data.extend(std::iter::repeat_n(b'x', length));
            data.push(b'\n');
        }
        data.extend_from_slice(b"end");
        let want = [
            (1, false),
            (0, false),
            (2, false),
            (LINE_MAX, false),
            (LINE_MAX, true),
            (LINE_MAX, true),
            (LINE_MAX, true),
            (LINE_MAX, true),
            (3, false),
        ];
        for step in [1, 7, 4096, LINE_MAX, CAPACITY, data.len()] {
            assert_eq!(lines(&data, step), want, "step {step}");
        }
        assert_eq!(lines(b"", 1), []);
        assert_eq!(
            lines(b"a\rbb\r\rc\r", 1),
            [(1, false), (2, false), (0, false), (1, false)]
        );
        assert_eq!(lines(&vec![b'x'; 3 * CAPACITY], 5000), [(LINE_MAX, true)]);
    }

    #[test]
    fn what_was_peeked_is_still_read() {
        let data: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let mut stream = Stream::new(Dribble(&data, 333));
        assert_eq!(stream.peek().unwrap(), &data[..PEEK]);
        stream.skip(3);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &data[3..]);
    }
}
