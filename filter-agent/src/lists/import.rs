//! From bytes on disk to entries in a sink.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use ipnet::IpNet;

use super::archive::{self, read_error};
use super::emit::Emit;
use super::format::{Filter, Include, Parser, Part, adblock};
use super::lines::{Line, Stream};
use super::open::open;
use super::{Format, IgnoredKind, ListError, Report, Scope, Sink, detect};

/// Included lists of one list.
const INCLUDES: usize = 512;
/// Members named in an error.
const NAMED: usize = 12;

/// Where a list is read from. It may be read more than once.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    File(&'a Path),
    /// A file that was fetched from elsewhere: errors speak of `name`, and
    /// nothing that lies beside the file belongs to the list.
    Copy {
        path: &'a Path,
        name: &'a str,
    },
    /// `name` stands for the path in errors.
    Bytes {
        name: &'a str,
        data: &'a [u8],
    },
}

/// How a list is read. The default suits a list from strangers.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Instead of what the content says.
    pub format: Option<Format>,
    /// What a bare name means, instead of [`Format::bare_scope`].
    pub scope: Option<Scope>,
    /// Only these files or folders of an archive, such as `adult` or
    /// `blacklists/adult/domains`; all when empty.
    pub members: Vec<String>,
    /// Take public suffixes as well: `com` then blocks all of `.com`.
    pub force_suffixes: bool,
    /// Take private, reserved and very wide ranges as well.
    pub force_ranges: bool,
    /// The school's own networks, cut out of every range whatever is forced.
    pub own: Vec<IpNet>,
    pub limits: Limits,
}

/// Bounds of one import.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Unpacked bytes, all layers of packing together.
    pub unpacked: u64,
    /// Bytes of a zip archive, which is held in memory.
    pub zip: u64,
    /// Files in archives.
    pub members: u64,
    /// Names, exceptions and ranges together.
    pub entries: u64,
}

impl Default for Limits {
    /// Ten times what the largest public lists take (UT1: 5 million names,
    /// 200 MB unpacked).
    fn default() -> Self {
        Self {
            unpacked: 2 << 30,
            zip: 256 << 20,
            members: 100_000,
            entries: 50_000_000,
        }
    }
}

/// Reads a list and hands each entry to `sink`.
///
/// # Errors
/// When the list as a whole is unusable; `sink` has then seen a part of it.
/// Odd lines are no error but counted in the report.
pub fn import<S: Sink + ?Sized>(
    source: &Source<'_>,
    options: &Options,
    sink: &mut S,
) -> Result<Report, ListError> {
    let mut emit = Emit::new(options, sink);
    let mut job = Job {
        source,
        options,
        queue: VecDeque::new(),
        place: source.place(),
        withdrawn: false,
    };
    job.members(&mut emit)?;
    job.includes(&mut emit)?;
    Ok(emit.report)
}

impl Source<'_> {
    /// The list's name in errors.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { name, .. } | Self::Copy { name, .. } => (*name).to_owned(),
        }
    }

    fn open(&self) -> Result<(Box<dyn Read + '_>, u64), ListError> {
        match self {
            Self::Bytes { data, .. } => Ok((Box::new(Cursor::new(*data)), data.len() as u64)),
            Self::File(path) | Self::Copy { path, .. } => {
                let failed = |source| ListError::Read {
                    place: self.place(),
                    source,
                };
                let file = open(path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                Ok((Box::new(file), size))
            }
        }
    }
}

struct Job<'j> {
    source: &'j Source<'j>,
    options: &'j Options,
    /// Includes yet to be read, with the file that asks for each.
    queue: VecDeque<(String, Include)>,
    place: String,
    /// Whether [`Emit::withdrawn`] is known.
    withdrawn: bool,
}

impl Job<'_> {
    fn members<S: Sink + ?Sized>(&mut self, emit: &mut Emit<'_, S>) -> Result<(), ListError> {
        let wanted: Vec<String> = self
            .options
            .members
            .iter()
            .map(|member| member.trim_matches('/').to_owned())
            .collect();
        let mut missing: BTreeSet<usize> = (0..wanted.len()).collect();
        let mut present = BTreeSet::new();
        let links = self.walk(&mut |job, path, stream| {
            if path.is_empty() {
                missing.clear();
                return job.text(emit, path, stream);
            }
            let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
            if present.len() <= NAMED && !present.contains(folder) {
                present.insert(folder.to_owned());
            }
            let mut chosen = wanted.is_empty();
            for (index, member) in wanted.iter().enumerate() {
                if names(member, path) {
                    chosen = true;
                    missing.remove(&index);
                }
            }
            if chosen {
                job.text(emit, path, stream)
            } else {
                Ok(())
            }
        })?;
        // A category that is a link to another one.
        let mut targets = Vec::new();
        for index in missing {
            let Some(wanted) = wanted.get(index) else {
                continue;
            };
            match links.iter().find(|link| names(wanted, &link.path)) {
                Some(link) => targets.push(link.target.clone()),
                None => {
                    let mut present: Vec<_> = present.into_iter().collect();
                    if present.len() > NAMED {
                        present.truncate(NAMED);
                        present.push("…".to_owned());
                    }
                    return Err(ListError::NoMember {
                        place: self.place.clone(),
                        wanted: wanted.clone(),
                        present: present.join(", "),
                    });
                }
            }
        }
        if !targets.is_empty() {
            self.walk(&mut |job, path, stream| {
                let already = wanted.iter().any(|wanted| names(wanted, path));
                match targets.iter().any(|target| names(target, path)) && !already {
                    true => job.text(emit, path, stream),
                    false => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn walk(
        &mut self,
        each: &mut dyn FnMut(&mut Self, &str, &mut Stream<'_>) -> Result<(), ListError>,
    ) -> Result<Vec<archive::Link>, ListError> {
        let (mut input, size) = self.source.open()?;
        let (place, limits) = (self.place.clone(), self.options.limits);
        archive::walk(&mut input, size, &place, &limits, &mut |path, stream| {
            each(self, path, stream)
        })
    }

    /// Reads a file of an archive, or the list itself.
    fn text<S: Sink + ?Sized>(
        &mut self,
        emit: &mut Emit<'_, S>,
        path: &str,
        stream: &mut Stream<'_>,
    ) -> Result<(), ListError> {
        let named = self
            .options
            .members
            .iter()
            .any(|member| path.ends_with(member.as_str()));
        if !path.is_empty() && !named && detect::is_documentation(path) {
            return Ok(());
        }
        let sample = self.peek(stream)?;
        let unusable = match sample {
            sample if detect::is_html(sample) => Some(ListError::Html {
                place: self.place.clone(),
            }),
            sample if is_utf16(sample) => None,
            sample if detect::is_bare_utf16(sample) => Some(ListError::BareUtf16 {
                place: self.place.clone(),
            }),
            sample if detect::is_binary(sample) => Some(ListError::Binary {
                place: self.place.clone(),
            }),
            sample if self.options.format.is_none() => {
                detect::foreign(sample).map(|what| ListError::Foreign {
                    place: self.place.clone(),
                    what,
                })
            }
            _ => None,
        };
        match unusable {
            Some(error) if path.is_empty() => return Err(error),
            Some(_) => return Ok(()),
            None => {}
        }
        self.decoded(emit, path, stream, Vec::new())
    }

    fn peek<'s>(&self, stream: &'s mut Stream<'_>) -> Result<&'s [u8], ListError> {
        stream
            .peek()
            .map_err(|error| read_error(&self.place, error))
    }

    /// Reads text in UTF-8 or UTF-16.
    fn decoded<S: Sink + ?Sized>(
        &mut self,
        emit: &mut Emit<'_, S>,
        path: &str,
        stream: &mut Stream<'_>,
        filters: Vec<Filter>,
    ) -> Result<(), ListError> {
        let sample = self.peek(stream)?;
        if sample.starts_with(b"\xef\xbb\xbf") {
            stream.skip(3);
        } else if is_utf16(sample) {
            let text = self.utf16(stream)?;
            return self.lines(emit, path, &mut Stream::new(Cursor::new(text)), filters);
        }
        self.lines(emit, path, stream, filters)
    }

    fn lines<S: Sink + ?Sized>(
        &mut self,
        emit: &mut Emit<'_, S>,
        path: &str,
        stream: &mut Stream<'_>,
        filters: Vec<Filter>,
    ) -> Result<(), ListError> {
        let (format, part) = self.format(path, self.peek(stream)?);
        if format == Format::Adblock && !self.withdrawn {
            self.withdrawn = true;
            emit.withdrawn = self.withdrawn()?;
        }
        emit.report.formats.insert(format);
        emit.report.files += 1;
        emit.file = path.to_owned();
        emit.line = 0;
        emit.scope = self.options.scope.unwrap_or(format.bare_scope());
        let mut parser = Parser::new(format, part, filters);
        loop {
            let line = stream
                .line()
                .map_err(|error| read_error(&self.place, error))?;
            emit.line += 1;
            let text = match line {
                None => break,
                Some(Line::Text(text)) => {
                    parser.line(text, emit);
                    text
                }
                Some(Line::TooLong(start)) => {
                    emit.ignore(IgnoredKind::LineTooLong, start);
                    start
                }
            };
            emit.line_done(text, &self.place)?;
        }
        emit.report.lines += emit.line - 1;
        self.queue.extend(
            parser
                .includes()
                .into_iter()
                .map(|include| (path.to_owned(), include)),
        );
        Ok(())
    }

    /// What the list's rules take back, which may stand anywhere in it.
    fn withdrawn(&mut self) -> Result<HashSet<Vec<u8>>, ListError> {
        let mut found = HashSet::new();
        self.walk(&mut |job, _, stream| {
            let failed = |error| read_error(&job.place, error);
            while let Some(line) = stream.line().map_err(failed)? {
                if let Line::Text(text) = line {
                    found.extend(adblock::withdraws(text));
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn format(&self, path: &str, sample: &[u8]) -> (Format, Part) {
        let own_name = match *self.source {
            _ if !path.is_empty() => None,
            Source::File(file) => file.file_name().and_then(|name| name.to_str()),
            Source::Copy { name, .. } | Source::Bytes { name, .. } => Some(name),
        };
        let part = detect::part(own_name.unwrap_or(path));
        match (self.options.format, part) {
            (Some(format), part) => (format, part.unwrap_or(Part::Domains)),
            (None, Some(part)) => (Format::Squidguard, part),
            (None, None) => (detect::format(sample), Part::Domains),
        }
    }

    fn utf16(&self, stream: &mut Stream<'_>) -> Result<Vec<u8>, ListError> {
        let mut data = Vec::new();
        let limit = self.options.limits.zip;
        stream
            .take(limit + 1)
            .read_to_end(&mut data)
            .map_err(|error| read_error(&self.place, error))?;
        if data.len() as u64 > limit {
            return Err(ListError::TooLarge {
                place: self.place.clone(),
                limit,
            });
        }
        let little = data.starts_with(b"\xff\xfe");
        let units = data
            .get(2..)
            .unwrap_or(&[])
            .chunks_exact(2)
            .map(|pair| match *pair {
                [a, b] if little => u16::from_le_bytes([a, b]),
                [a, b] => u16::from_be_bytes([a, b]),
                _ => 0,
            });
        let text: String = char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Ok(text.into_bytes())
    }

    /// Reads what v2fly lists include: files beside the list, or members of
    /// the archive beside the member.
    fn includes<S: Sink + ?Sized>(&mut self, emit: &mut Emit<'_, S>) -> Result<(), ListError> {
        let mut seen = BTreeSet::new();
        while let Some((from, include)) = self.queue.pop_front() {
            let folder = from.rsplit_once('/').map(|(folder, _)| folder);
            let path = match folder {
                Some(folder) => format!("{folder}/{}", include.name),
                None => include.name.clone(),
            };
            let key = format!("{path} {:?}", include.filters);
            if seen.contains(&key) {
                continue;
            }
            let found = seen.len() < INCLUDES && self.include(emit, &from, &path, &include)?;
            seen.insert(key);
            if !found {
                let text = format!("include:{}", include.name);
                emit.report
                    .ignore(IgnoredKind::Include, &from, include.line, text.as_bytes());
            }
        }
        Ok(())
    }

    fn include<S: Sink + ?Sized>(
        &mut self,
        emit: &mut Emit<'_, S>,
        from: &str,
        path: &str,
        include: &Include,
    ) -> Result<bool, ListError> {
        let source = self.source;
        match source {
            Source::File(list) if !self.in_archive(from) => {
                let Ok(file) = File::open(list.with_file_name(path)) else {
                    return Ok(false);
                };
                self.decoded(emit, path, &mut Stream::new(file), include.filters.clone())?;
                Ok(true)
            }
            Source::Bytes { .. } | Source::Copy { .. } if !self.in_archive(from) => Ok(false),
            _ => {
                let mut found = false;
                self.walk(&mut |job, member, stream| {
                    if found || member != path {
                        return Ok(());
                    }
                    found = true;
                    job.decoded(emit, path, stream, include.filters.clone())
                })?;
                Ok(found)
            }
        }
    }

    /// A file that was included from beside a plain list has a name, too,
    /// but no folder.
    fn in_archive(&self, from: &str) -> bool {
        from.contains('/')
    }
}

fn is_utf16(sample: &[u8]) -> bool {
    sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff")
}

/// Whether the components of `wanted` stand in `path`, one after another.
fn names(wanted: &str, path: &str) -> bool {
    let wanted: Vec<_> = wanted.split('/').collect();
    let path: Vec<_> = path.split('/').collect();
    path.windows(wanted.len()).any(|run| run == wanted)
}
