//! Host names in the one form that everything else compares.

use std::fmt;

/// The longest name in bytes, without trailing dot (RFC 1035 section 2.3.4).
pub const NAME_MAX: usize = 253;
/// The longest label in bytes.
const LABEL_MAX: usize = 63;

/// Why a text is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("not a host name")]
    Invalid,
    #[error("a label over 63 bytes or a name over 253")]
    TooLong,
    #[error("neither ASCII nor UTF-8")]
    Encoding,
}

/// A host name: ASCII, lower case, punycode, no trailing dot.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl Name {
    /// Reads a name in any case, with or without its trailing dot, in
    /// punycode or UTF-8 (then by UTS 46). Underscores and hyphens may stand
    /// anywhere, as they do in the DNS. What ends in a number is an address
    /// or a typo, never a name.
    pub fn parse(text: &[u8]) -> Result<Self, NameError> {
        match Self::ascii(text) {
            Err(NameError::Encoding) => {
                let text = str::from_utf8(text).map_err(|_| NameError::Encoding)?;
                let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Invalid)?;
                Self::ascii(ascii.as_bytes())
            }
            done => done,
        }
    }

    /// `NameError::Encoding` when a byte is not ASCII.
    fn ascii(text: &[u8]) -> Result<Self, NameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut name = Self {
            bytes: [0; NAME_MAX],
            len: 0,
        };
        let Some(room) = name.bytes.get_mut(..text.len()) else {
            return Err(if text.is_ascii() {
                NameError::TooLong
            } else {
                NameError::Encoding
            });
        };
        let (mut label, mut digits, mut too_long) = (0, true, false);
        for (to, &byte) in room.iter_mut().zip(text) {
            let canonical = CANONICAL[usize::from(byte)];
            *to = canonical;
            if canonical == b'.' {
                if label == 0 {
                    return Err(NameError::Invalid);
                }
                (label, digits) = (0, true);
                continue;
            }
            if canonical == 0 {
                return Err(if text.is_ascii() {
                    NameError::Invalid
                } else {
                    NameError::Encoding
                });
            }
            label += 1;
            digits &= canonical.is_ascii_digit();
            too_long |= label > LABEL_MAX;
        }
        if too_long {
            return Err(NameError::TooLong);
        }
        if label == 0 || digits {
            return Err(NameError::Invalid);
        }
        // At most 253, by the length of the array.
        name.len = text.len() as u8;
        Ok(name)
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Whether the name is a single label.
    pub fn is_single_label(&self) -> bool {
        memchr::memchr(b'.', self.as_bytes()).is_none()
    }

    /// Whether the whole name is a suffix under which strangers register
    /// names (publicsuffix.org, both of its sections). An unknown top-level
    /// domain, such as `lan`, is none.
    pub fn is_public_suffix(&self) -> bool {
        psl::suffix(self.as_bytes()).is_some_and(|suffix| {
            suffix.is_known() && suffix.as_bytes().len() == self.as_bytes().len()
        })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A byte of a name in canonical form; 0 for a byte that no name holds.
static CANONICAL: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.') {
            table[byte] = c.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, NameError> {
        Name::parse(text.as_bytes()).map(|name| name.to_string())
    }

    #[test]
    fn names_become_canonical() {
        for (text, want) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("_dmarc.my_site.example", "_dmarc.my_site.example"),
            ("xn--E1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("МЕКТЕП.KG", "xn--e1aaogsq.kg"),
            ("bücher。example", "xn--bcher-kva.example"),
            ("-a-.example", "-a-.example"),
            ("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_told() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), NAME_MAX);
        assert_eq!(parse(&longest), Ok(longest.clone()));
        assert_eq!(parse(&format!("{longest}.")), Ok(longest.clone()));
        assert_eq!(parse(&format!("{longest}a")), Err(NameError::TooLong));
        assert_eq!(parse(&format!("a{label}.com")), Err(NameError::TooLong));
        for text in [
            "", ".", "..", "a..b", ".a", "a b", "a/b", "a*b", "1.2.3.4", "a.1", "a\0b", "a:1",
        ] {
            assert_eq!(parse(text), Err(NameError::Invalid), "{text:?}");
        }
        assert_eq!(Name::parse(b"caf\xe9.fr"), Err(NameError::Encoding));
    }

    #[test]
    fn public_suffixes_of_both_sections_and_scripts() {
        for (text, want) in [
            ("com", true),
            ("co.uk", true),
            ("github.io", true),
            ("рф", true),
            ("edu.kg", true),
            ("example.com", false),
            ("lan", false),
            ("printer.lan", false),
        ] {
            let name = Name::parse(text.as_bytes()).unwrap();
            assert_eq!(name.is_public_suffix(), want, "{text}");
        }
    }
}
