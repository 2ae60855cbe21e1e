//! What mutation starts from: hellos of real clients, heads as they are
//! written, and every regression.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{Target, capture, dns, quic};

const HEADS: [&str; 9] = [
    "GET / HTTP/1.1\r\nHost: www.school-test.example\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
    "GET http://www.school-test.example:80/a?b HTTP/1.1\r\nHost: www.school-test.example\r\n\r\n",
    "CONNECT www.school-test.example:443 HTTP/1.1\r\nHost: www.school-test.example:443\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 5\r\n\r\nhelloGET /y HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "OPTIONS * HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\nhost:[2001:db8::1]:8080\ncookie: a=b\n\n",
    "POST / HTTP/1.1\r\nHost: 192.0.2.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nGET \r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n",
    "EHLO mail.school-test.example\r\nSTARTTLS\r\n",
];

/// The protected packets of RFC 9001 and RFC 9369, appendix A.2.
const PUBLISHED: [&[u8]; 2] = [
    include_bytes!("../../../filter-ebpf/src/inspect/quic/vectors/rfc9001-a2.bin"),
    include_bytes!("../../../filter-ebpf/src/inspect/quic/vectors/rfc9369-a2.bin"),
];

/// The folder whose files are replayed by the tests.
#[must_use]
pub fn regressions(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(target.name())
}

/// The seeds, in the same order on every machine.
///
/// # Errors
/// When captures or regressions cannot be read.
pub fn seeds(target: Target) -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    match target {
        Target::Tls => {
            for path in files(&capture::folder(), "pcap")? {
                for segments in capture::clients(&path)?.into_values() {
                    seeds.push(stream(segments));
                }
            }
        }
        Target::Http => {
            seeds.extend(HEADS.iter().map(|head| head.as_bytes().to_vec()));
            seeds.extend(long_bodies());
        }
        Target::Quic => {
            for path in files(&capture::folder(), "pcap")? {
                for datagrams in capture::datagrams(&path, 443)?.into_values() {
                    let first: Vec<_> = datagrams.into_iter().take(3).collect();
                    seeds.extend(quic::hello_of(&first).iter().flat_map(|hello| {
                        [false, true].map(|version2| quic::of_hello(hello, version2))
                    }));
                    seeds.push(quic::raw(&first));
                }
            }
            for packet in PUBLISHED {
                seeds.push(quic::raw(&[packet.to_vec()]));
            }
        }
        Target::Dns => {
            seeds.extend(dns::SEEDS.map(<[u8]>::to_vec));
            for path in files(&capture::folder(), "pcap")? {
                for datagrams in capture::datagrams(&path, 53)?.into_values() {
                    seeds.extend(datagrams);
                }
            }
        }
    }
    for path in files(&regressions(target), "bin")? {
        seeds
            .push(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(seeds)
}

/// Requests behind bodies that are passed over rather than read, of both
/// kinds.
fn long_bodies() -> [Vec<u8>; 2] {
    let body = "x".repeat(7_000);
    let next = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    [
        format!("Content-Length: 7000\r\n\r\n{body}{next}"),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n\
             1b58;x\r\n{body}\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n{next}"
        ),
    ]
    .map(|rest| format!("POST / HTTP/1.1\r\nHost: a.example\r\n{rest}").into_bytes())
}

fn stream(segments: Vec<capture::Segment>) -> Vec<u8> {
    segments
        .into_iter()
        .flat_map(|segment| segment.payload)
        .take(4096)
        .collect()
}

/// Files of a folder by extension, sorted; none without the folder.
///
/// # Errors
/// When the folder is there and cannot be listed.
pub fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
