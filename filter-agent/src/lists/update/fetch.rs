//! Gets a list from a URL or a path into a file.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use ureq::http::{HeaderName, Response};
use ureq::{Agent, Proxy};

use super::store::{Staged, hex};
use super::{Subscription, UpdateError};
use crate::lists::open::open;

const REDIRECTS: u32 = 5;
const CONNECT: Duration = Duration::from_secs(20);
/// Bytes of a checksum or signature file.
const SIDE_FILE: u64 = 1 << 20;

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("cannot fetch {url}: {source}")]
    Http {
        url: String,
        source: Box<ureq::Error>,
    },
    #[error("{url} answered with status {status}")]
    Status { url: String, status: u16 },
    #[error("{url} ended after {got} of {announced} bytes: try again")]
    Truncated {
        url: String,
        got: u64,
        announced: u64,
    },
    #[error("{url} broke off: {source}")]
    Body { url: String, source: std::io::Error },
    #[error("{url} is larger than {limit} bytes: if it should be, raise the list's limit")]
    TooLarge { url: String, limit: u64 },
    #[error("cannot read {}: {source}", .path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{proxy:?} is no proxy: write it like http://proxy.school.example:3128")]
    Proxy { proxy: String },
    #[error("{location:?} is neither an http(s) or file URL nor a path")]
    Location { location: String },
}

/// What the copy at hand says of itself.
pub(super) struct Conditions<'a> {
    pub(super) etag: Option<&'a str>,
    pub(super) last_modified: Option<&'a str>,
}

/// What came.
pub(super) struct Fetched {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

/// A place as a subscription names it.
enum Location<'a> {
    Url(&'a str),
    Path(&'a Path),
}

impl<'a> Location<'a> {
    fn parse(location: &'a str) -> Result<Self, FetchError> {
        let wrong = || FetchError::Location {
            location: location.to_owned(),
        };
        let scheme = location.split_once("://").map(|(scheme, _)| scheme);
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("http" | "https") => Ok(Self::Url(location)),
            Some("file") => {
                let path = location.get("file://".len()..).unwrap_or("");
                let path = path.strip_prefix("localhost").unwrap_or(path);
                if path.starts_with('/') {
                    Ok(Self::Path(Path::new(path)))
                } else {
                    Err(wrong())
                }
            }
            Some(_) => Err(wrong()),
            None if location.is_empty() => Err(wrong()),
            None => Ok(Self::Path(Path::new(location))),
        }
    }
}

/// Writes the list to `staged`; `None` when the copy at hand is the newest.
pub(super) fn fetch(
    list: &Subscription,
    conditions: Option<Conditions<'_>>,
    staged: &mut Staged,
    progress: &ProgressBar,
) -> Result<Option<Fetched>, UpdateError> {
    match Location::parse(&list.location)? {
        Location::Path(path) => {
            let failed = |source| FetchError::File {
                path: path.to_owned(),
                source,
            };
            let mut file = open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if !metadata.is_file() {
                let why = std::io::Error::other("not a regular file");
                return Err(failed(why).into());
            }
            progress.set_length(metadata.len());
            let (sha256, bytes) = copy(&mut file, list, staged, progress, &failed)?;
            Ok(Some(Fetched {
                etag: None,
                last_modified: None,
                sha256,
                bytes,
            }))
        }
        Location::Url(url) => {
            let Some(response) = request(url, conditions, list)? else {
                return Ok(None);
            };
            body(response, list, staged, progress).map(Some)
        }
    }
}

/// A small file beside a list, such as its checksums.
pub(super) fn side_file(location: &str, list: &Subscription) -> Result<String, FetchError> {
    let mut text = String::new();
    match Location::parse(location)? {
        Location::Path(path) => {
            let failed = |source| FetchError::File {
                path: path.to_owned(),
                source,
            };
            let file = open(path).map_err(failed)?;
            file.take(SIDE_FILE)
                .read_to_string(&mut text)
                .map_err(failed)?;
        }
        Location::Url(url) => {
            let Some(response) = request(url, None, list)? else {
                return Err(FetchError::Status {
                    url: url.to_owned(),
                    status: 304,
                });
            };
            let failed = |source| FetchError::Body {
                url: url.to_owned(),
                source,
            };
            response
                .into_body()
                .into_reader()
                .take(SIDE_FILE)
                .read_to_string(&mut text)
                .map_err(failed)?;
        }
    }
    Ok(text)
}

/// `None` for 304.
fn request(
    url: &str,
    conditions: Option<Conditions<'_>>,
    list: &Subscription,
) -> Result<Option<Response<ureq::Body>>, FetchError> {
    let proxy = match &list.proxy {
        None => Proxy::try_from_env(),
        Some(proxy) => Some(Proxy::new(proxy).map_err(|_| FetchError::Proxy {
            proxy: proxy.clone(),
        })?),
    };
    let agent: Agent = Agent::config_builder()
        .proxy(proxy)
        .timeout_global(Some(list.timeout))
        .timeout_connect(Some(CONNECT))
        .max_redirects(REDIRECTS)
        .max_redirects_will_error(true)
        .http_status_as_error(false)
        // A list asked for over TLS never comes without.
        .https_only(
            url.get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case("https://")),
        )
        // Bytes as they are on the server: sizes and checksums are of these.
        .accept_encoding("identity")
        .user_agent(concat!("filter-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(url);
    if let Some(conditions) = conditions {
        if let Some(etag) = conditions.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(date) = conditions.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
    }
    let response = request.call().map_err(|source| FetchError::Http {
        url: url.to_owned(),
        source: Box::new(source),
    })?;
    match response.status().as_u16() {
        200 => Ok(Some(response)),
        304 => Ok(None),
        status => Err(FetchError::Status {
            url: url.to_owned(),
            status,
        }),
    }
}

fn body(
    response: Response<ureq::Body>,
    list: &Subscription,
    staged: &mut Staged,
    progress: &ProgressBar,
) -> Result<Fetched, UpdateError> {
    let header = |name: HeaderName| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (etag, last_modified) = (header(ETAG), header(LAST_MODIFIED));
    let packed = header(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    let announced: Option<u64> = header(CONTENT_LENGTH)
        .filter(|_| !packed)
        .and_then(|length| length.trim().parse().ok());
    let too_large = || FetchError::TooLarge {
        url: list.location.clone(),
        limit: list.max_bytes,
    };
    if let Some(length) = announced {
        if length > list.max_bytes {
            return Err(too_large().into());
        }
        progress.set_length(length);
    }
    let failed = |source| FetchError::Body {
        url: list.location.clone(),
        source,
    };
    let mut reader = response.into_body().into_reader();
    let (sha256, bytes) = copy(&mut reader, list, staged, progress, &failed)?;
    match announced {
        Some(announced) if announced != bytes => {
            let url = list.location.clone();
            Err(FetchError::Truncated {
                url,
                got: bytes,
                announced,
            }
            .into())
        }
        _ => Ok(Fetched {
            etag,
            last_modified,
            sha256,
            bytes,
        }),
    }
}

/// Digest in hexadecimal and size of what was copied.
fn copy(
    reader: &mut dyn Read,
    list: &Subscription,
    staged: &mut Staged,
    progress: &ProgressBar,
    failed: &dyn Fn(std::io::Error) -> FetchError,
) -> Result<(String, u64), UpdateError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let n = reader.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        bytes += n as u64;
        if bytes > list.max_bytes {
            let (url, limit) = (list.location.clone(), list.max_bytes);
            return Err(FetchError::TooLarge { url, limit }.into());
        }
        let got = buffer.get(..n).unwrap_or(&[]);
        digest.update(got);
        staged.write(got)?;
        progress.inc(n as u64);
    }
}
