//! TLS beside tls-parser and rustls.

use rustls::server::Acceptor;
use tls_parser::{
    SNIType, TlsClientHelloContents, TlsExtension, TlsMessage, TlsMessageHandshake,
    parse_tls_extension_sni_content, parse_tls_extension_unknown, parse_tls_message_handshake,
    parse_tls_raw_record,
};

use crate::Explained;
use crate::ours::{Answer, is_host, normal};

/// What a judge says of a stream.
#[derive(Debug)]
enum Said {
    Name(String),
    Unnamed,
    More,
    Refused,
}

/// What tls-parser shows of a hello, to explain a difference by.
#[derive(Debug, Default)]
struct Facts {
    idle_records: usize,
    names: Vec<Vec<u8>>,
    other_types: bool,
    /// Behind the hello another one begins.
    second_hello: bool,
}

pub(crate) fn compare(input: &[u8], ours: &Answer) -> Result<Vec<Explained>, String> {
    let mut facts = Facts::default();
    let parser = tls_parser(input, &mut facts);
    let rustls = rustls(input);
    let mut explained = Vec::new();
    for (judge, said) in [("tls-parser", &parser), ("rustls", &rustls)] {
        match explain(ours, said, &facts, judge) {
            Ok(reason) => explained.extend(reason),
            Err(()) => {
                return Err(format!(
                    "ours: {ours:?}, {judge}: {said:?}, tls-parser sees {facts:?}"
                ));
            }
        }
    }
    Ok(explained)
}

fn explain(
    ours: &Answer,
    said: &Said,
    facts: &Facts,
    judge: &str,
) -> Result<Option<Explained>, ()> {
    Ok(match (ours, said) {
        (Answer::Name(name), Said::Name(other)) if *name == normal(other) => None,
        (Answer::Name(name), Said::Unnamed) if judge == "rustls" => {
            if name.parse::<std::net::IpAddr>().is_ok() {
                Some(Explained::AddressIgnored)
            } else if facts.other_types {
                Some(Explained::OtherNameType)
            } else if rustls::pki_types::DnsName::try_from(name.as_str()).is_err() {
                Some(Explained::NameRules)
            } else {
                return Err(());
            }
        }
        (Answer::Unnamed, Said::Unnamed)
        | (Answer::More, Said::More)
        | (Answer::Failed(_), Said::Refused) => None,
        (Answer::Name(_) | Answer::Unnamed, Said::More) => Some(Explained::JudgeWaits),
        (Answer::Name(_) | Answer::Unnamed, Said::Refused) => Some(Explained::JudgeStricter),
        (Answer::Failed(_), Said::More) => Some(Explained::WeFailEarlier),
        (Answer::More, Said::Refused) => Some(Explained::WeWaitLonger),
        (Answer::Failed(_), Said::Name(_) | Said::Unnamed) => Some(stricter(facts).ok_or(())?),
        _ => return Err(()),
    })
}

/// Why we refuse what a judge takes.
fn stricter(facts: &Facts) -> Option<Explained> {
    let mut normal_names = facts.names.iter().map(|name| name.to_ascii_lowercase());
    let first = normal_names.next().unwrap_or_default();
    let differs = |name: Vec<u8>| {
        name.strip_suffix(b".").unwrap_or(&name) != first.strip_suffix(b".").unwrap_or(&first)
    };
    if facts.idle_records > 8 {
        Some(Explained::IdleRecords)
    } else if facts.names.iter().any(|name| !is_host(name)) {
        Some(Explained::NameRules)
    } else if normal_names.any(differs) {
        Some(Explained::TwoNames)
    } else if facts.other_types {
        Some(Explained::OtherNameType)
    } else if facts.second_hello {
        Some(Explained::SecondHello)
    } else {
        None
    }
}

fn rustls(input: &[u8]) -> Said {
    let mut acceptor = Acceptor::default();
    let mut left = input;
    loop {
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                return match accepted.client_hello().server_name() {
                    Some(name) => Said::Name(name.into()),
                    None => Said::Unnamed,
                };
            }
            Ok(None) => {}
            Err(_) => return Said::Refused,
        }
        if left.is_empty() {
            return Said::More;
        }
        if acceptor.read_tls(&mut left).is_err() {
            return Said::Refused;
        }
    }
}

/// Records by tls-parser, their fragments joined, the message by tls-parser.
fn tls_parser(input: &[u8], facts: &mut Facts) -> Said {
    let mut left = input;
    let mut message = Vec::new();
    loop {
        if message.len() >= 4 {
            match parse_tls_message_handshake(&message) {
                Ok((behind, TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)))) => {
                    let next = behind.first().or_else(|| handshake(left));
                    facts.second_hello = next == Some(&1);
                    return client_hello(&hello, &message, facts);
                }
                Err(tls_parser::Err::Incomplete(_)) => {}
                _ => return Said::Refused,
            }
        }
        match parse_tls_raw_record(left) {
            Ok((rest, record)) => {
                left = rest;
                let kind = record.hdr.record_type.0;
                match kind {
                    22 => message.extend_from_slice(record.data),
                    20 | 21 | 24 => {}
                    _ => return Said::Refused,
                }
                facts.idle_records += usize::from(kind != 22 || record.data.is_empty());
            }
            // A record that is not all there yet: its fragment counts.
            Err(tls_parser::Err::Incomplete(_)) if left.len() > 5 && left.first() == Some(&22) => {
                message.extend_from_slice(left.get(5..).unwrap_or_default());
                left = &[];
            }
            Err(tls_parser::Err::Incomplete(_)) => return Said::More,
            Err(_) => return Said::Refused,
        }
    }
}

/// The first byte of the next handshake message, behind other records.
fn handshake(mut records: &[u8]) -> Option<&u8> {
    while let [kind, _, _, high, low, rest @ ..] = records {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 22 && len != 0 {
            return rest.first();
        }
        records = rest.get(len..)?;
    }
    None
}

fn client_hello(hello: &TlsClientHelloContents<'_>, message: &[u8], facts: &mut Facts) -> Said {
    let Some(mut left) = hello.ext else {
        // Bytes that tls-parser could not read as extensions: it takes them
        // for none.
        let fixed = 4 + 2 + 32 + 1 + 2 + 1;
        let lists =
            hello.session_id.map_or(0, <[u8]>::len) + hello.ciphers.len() * 2 + hello.comp.len();
        let told = message.get(1..4).map_or(0, |len| {
            len.iter().fold(0, |n, b| (n << 8) | usize::from(*b))
        });
        return if fixed + lists == told + 4 {
            Said::Unnamed
        } else {
            Said::Refused
        };
    };
    while !left.is_empty() {
        let Ok((rest, TlsExtension::Unknown(kind, body))) = parse_tls_extension_unknown(left)
        else {
            return Said::Refused;
        };
        left = rest;
        if u16::from(kind) == 0 && !server_name(body, facts) {
            return Said::Refused;
        }
    }
    match facts.names.first() {
        Some(name) => Said::Name(String::from_utf8_lossy(name).into()),
        None => Said::Unnamed,
    }
}

/// `false` when the list does not fill the extension.
fn server_name(body: &[u8], facts: &mut Facts) -> bool {
    let Ok((rest, TlsExtension::SNI(entries))) = parse_tls_extension_sni_content(body) else {
        return false;
    };
    let told: usize = entries.iter().map(|(_, name)| 3 + name.len()).sum();
    for (kind, name) in &entries {
        if *kind == SNIType::HostName {
            facts.names.push(name.to_vec());
        } else {
            facts.other_types = true;
        }
    }
    // What rustls takes for a name of another type may be none by length.
    facts.other_types |= body.get(2 + told).is_some_and(|kind| *kind != 0);
    rest.is_empty() && told != 0 && told + 2 == body.len()
}
