//! Checksums and signatures of lists.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use minisign_verify::{PublicKey, Signature};

use super::Subscription;
use super::fetch::{FetchError, side_file};

/// What a download must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    #[default]
    None,
    /// The SHA-256 of the file, in hexadecimal: a list that never changes.
    Sha256(String),
    /// Where a file as `sha256sum` writes it is found.
    Sha256File(String),
    /// A minisign signature, beside the list with `.minisig` at its end
    /// unless `signature` says where.
    Minisign {
        public_key: String,
        signature: Option<String>,
    },
}

/// Why a download is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{location} has the SHA-256 {got}, expected {want}")]
    Checksum {
        location: String,
        got: String,
        want: String,
    },
    #[error("{location} holds no SHA-256 for {file}")]
    NoChecksum { location: String, file: String },
    #[error("{key:?} is no minisign public key: copy the second line of minisign.pub")]
    Key { key: String },
    #[error("{location} is no minisign signature")]
    Format { location: String },
    #[error("the signature {location} does not fit the list or the key: do not use this list")]
    Signature { location: String },
    #[error("the checksum or signature is missing: {0}")]
    Fetch(#[from] FetchError),
    #[error("cannot read the download again: {0}")]
    Read(#[from] std::io::Error),
}

pub(super) fn check(list: &Subscription, path: &Path, sha256: &str) -> Result<(), TrustError> {
    match &list.trust {
        Trust::None => Ok(()),
        Trust::Sha256(want) => compare(list, sha256, want.trim()),
        Trust::Sha256File(location) => {
            let text = side_file(location, list)?;
            let file = list.location.rsplit('/').next().unwrap_or(&list.location);
            let want = checksum(&text, file).ok_or_else(|| TrustError::NoChecksum {
                location: location.clone(),
                file: file.to_owned(),
            })?;
            compare(list, sha256, want)
        }
        Trust::Minisign {
            public_key,
            signature,
        } => {
            let location = signature
                .clone()
                .unwrap_or_else(|| format!("{}.minisig", list.location));
            signed(list, path, public_key, location)
        }
    }
}

fn compare(list: &Subscription, got: &str, want: &str) -> Result<(), TrustError> {
    if got.eq_ignore_ascii_case(want) {
        return Ok(());
    }
    let location = list.location.clone();
    Err(TrustError::Checksum {
        location,
        got: got.to_owned(),
        want: want.to_owned(),
    })
}

/// The checksum of `file` in the output of `sha256sum`, also with `--tag`,
/// or the only one there is.
fn checksum<'t>(text: &'t str, file: &str) -> Option<&'t str> {
    let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let lines = || {
        text.lines()
            .filter_map(|line| Some((line, line.split_whitespace().find(is_digest)?)))
    };
    let named = lines().find(|(line, _)| {
        line.split(|c: char| c.is_whitespace() || matches!(c, '*' | '(' | ')' | '/'))
            .any(|word| word == file)
    });
    let mut all = lines();
    match (named, all.next(), all.next()) {
        (Some((_, digest)), ..) | (None, Some((_, digest)), None) => Some(digest),
        _ => None,
    }
}

fn signed(
    list: &Subscription,
    path: &Path,
    public_key: &str,
    location: String,
) -> Result<(), TrustError> {
    let key = PublicKey::from_base64(public_key.trim()).map_err(|_| TrustError::Key {
        key: public_key.to_owned(),
    })?;
    let text = side_file(&location, list)?;
    let Ok(signature) = Signature::decode(&text) else {
        return Err(TrustError::Format { location });
    };
    let Ok(mut verifier) = key.verify_stream(&signature) else {
        return Err(TrustError::Signature { location });
    };
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return verifier
                .finalize()
                .map_err(|_| TrustError::Signature { location });
        }
        verifier.update(buffer.get(..n).unwrap_or(&[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_in_the_spellings_of_the_tools() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        assert_eq!(checksum(&a, "x"), Some(a.as_str()));
        assert_eq!(
            checksum(&format!("{a}  y\n{b} *x\n"), "x"),
            Some(b.as_str())
        );
        assert_eq!(
            checksum(&format!("{a}  y\n{b}  lists/x\n"), "x"),
            Some(b.as_str())
        );
        assert_eq!(
            checksum(&format!("SHA256 (y) = {a}\nSHA256 (x) = {b}\n"), "x"),
            Some(b.as_str())
        );
        assert_eq!(checksum(&format!("{a}  y\n{b}  z\n"), "x"), None);
        assert_eq!(checksum("404 not found", "x"), None);
    }
}
