//! Host names as people write them in a policy.

use filter_ebpf::abi::SUFFIXES;

use super::BareName;
use crate::lists::{Name, NameError};

/// A host name: lower case, punycode, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    pub name: String,
    pub reach: BareName,
}

/// Why a text is no host name, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("expected a host name such as example.org, found a URL; write \"{0}\"")]
    Url(String),
    #[error("expected a host name, found an address; put it into `ranges`")]
    Address,
    #[error("expected a host name without a port; write \"{0}\"")]
    Port(String),
    #[error("a star may only stand before the first label, as in *.example.org")]
    Star,
    #[error("expected a host name such as example.org or *.example.org")]
    Syntax,
    #[error(
        "the name is too long: a label has at most 63 bytes, a name 253, and *.NAME at most 12 labels"
    )]
    TooLong,
    #[error(
        "\"{0}\" is a public suffix: everybody's names below it would be meant; only a category with force = true takes it"
    )]
    PublicSuffix(String),
}

impl From<NameError> for HostError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Invalid | NameError::Encoding => Self::Syntax,
            NameError::TooLong => Self::TooLong,
        }
    }
}

impl Host {
    /// Reads `example.org` (meaning as `bare` says), `*.example.org` (it and
    /// everything below) or `=example.org` (it alone). Names beyond ASCII
    /// become punycode by UTS 46.
    pub fn parse(text: &str, bare: BareName, force: bool) -> Result<Self, HostError> {
        let (reach, name) = if let Some(rest) = text.strip_prefix("*.") {
            (BareName::Subtree, rest)
        } else if let Some(rest) = text.strip_prefix('=') {
            (BareName::Host, rest)
        } else {
            (bare, text)
        };
        if let Some((_, rest)) = name.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            return Err(HostError::Url(host.to_string()));
        }
        if let Some((host, _)) = name.split_once('/') {
            return Err(if host.parse::<std::net::IpAddr>().is_ok() {
                HostError::Address
            } else {
                HostError::Url(host.to_string())
            });
        }
        if name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
        {
            return Err(HostError::Address);
        }
        if let Some((host, port)) = name.rsplit_once(':')
            && port.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(HostError::Port(host.to_string()));
        }
        if name.contains('*') {
            return Err(HostError::Star);
        }
        let name = Name::parse(name.as_bytes())?;
        let suffix = name.is_public_suffix() || name.is_single_label();
        let name = name.to_string();
        let labels = name.split('.').count();
        if reach == BareName::Subtree && labels > SUFFIXES {
            return Err(HostError::TooLong);
        }
        if reach == BareName::Subtree && !force && suffix {
            return Err(HostError::PublicSuffix(name));
        }
        Ok(Self { name, reach })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Host, HostError> {
        Host::parse(text, BareName::Subtree, false)
    }

    #[test]
    fn names_become_canonical() {
        for (text, name, reach) in [
            ("Example.ORG.", "example.org", BareName::Subtree),
            ("*.example.org", "example.org", BareName::Subtree),
            ("=example.org", "example.org", BareName::Host),
            ("мектеп.kg", "xn--e1aaogsq.kg", BareName::Subtree),
            ("_x.a-b.example", "_x.a-b.example", BareName::Subtree),
            ("=com", "com", BareName::Host),
        ] {
            let host = parse(text).unwrap();
            assert_eq!((host.name.as_str(), host.reach), (name, reach), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_says_what_to_write() {
        for (text, want) in [
            ("https://a.example/b", HostError::Url("a.example".into())),
            ("a.example/b", HostError::Url("a.example".into())),
            ("10.0.0.1", HostError::Address),
            ("10.0.0.0/8", HostError::Address),
            ("[2001:db8::1]", HostError::Address),
            ("a.example:8080", HostError::Port("a.example".into())),
            ("a*.example", HostError::Star),
            ("a..example", HostError::Syntax),
            ("1.2.3", HostError::Syntax),
            ("a b.example", HostError::Syntax),
            ("com", HostError::PublicSuffix("com".into())),
            ("co.uk", HostError::PublicSuffix("co.uk".into())),
            ("edu.kg.", HostError::PublicSuffix("edu.kg".into())),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m", HostError::TooLong),
        ] {
            assert_eq!(parse(text), Err(want), "{text}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert_eq!(parse(&long), Err(HostError::TooLong));
        assert!(Host::parse("com", BareName::Subtree, true).is_ok());
    }
}
