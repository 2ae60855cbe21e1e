//! ClientHellos byte by byte (RFC 8446 §4.1.2).

pub(crate) const SERVER_NAME: u16 = 0;
pub(crate) const PADDING: u16 = 21;
pub(crate) const ECH: u16 = 0xfe0d;

pub(crate) fn u16s(value: usize) -> [u8; 2] {
    (value as u16).to_be_bytes()
}

/// A block behind its two-byte length.
pub(crate) fn block(bytes: &[u8]) -> Vec<u8> {
    [&u16s(bytes.len())[..], bytes].concat()
}

/// The entries of a server_name extension (RFC 6066 §3).
pub(crate) fn names(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = entries
        .iter()
        .flat_map(|(kind, name)| [&[*kind][..], &block(name)].concat())
        .collect();
    block(&list)
}

pub(crate) fn sni(host: &str) -> (u16, Vec<u8>) {
    (SERVER_NAME, names(&[(0, host.as_bytes())]))
}

/// Extensions as a browser sends them, without a name.
pub(crate) fn usual() -> Vec<(u16, Vec<u8>)> {
    vec![
        (0x0a0a, vec![]),
        (23, vec![]),
        (43, vec![4, 3, 4, 3, 3]),
        (
            51,
            [&u16s(38)[..], &u16s(0x1d), &u16s(32), &[7; 32]].concat(),
        ),
        (13, vec![0, 4, 4, 3, 8, 4]),
        (
            16,
            vec![
                0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1',
            ],
        ),
    ]
}

/// A handshake message.
pub(crate) fn handshake(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, body)| [&u16s(*kind as usize)[..], &block(body)].concat())
        .collect();
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.push(32);
    body.extend([5; 32]);
    body.extend(block(&[0x13, 1, 0x13, 2, 0xc0, 0x2b]));
    body.extend([1, 0]);
    body.extend(block(&extensions));
    wrap(&body)
}

/// A ClientHello's body behind its header.
pub(crate) fn wrap(body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[1, len[1], len[2], len[3]][..], body].concat()
}

/// One record.
pub(crate) fn record(kind: u8, version: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&[kind], &version[..], &block(payload)].concat()
}

/// A handshake message cut into records of at most `size` bytes.
pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|piece| record(22, [3, 1], piece))
        .collect()
}

/// An ordinary hello for a host.
pub(crate) fn hello(host: &str) -> Vec<u8> {
    let mut extensions = usual();
    extensions.insert(2, sni(host));
    records(&handshake(&extensions), 16_384)
}

/// A hello with these extensions beside the usual ones.
pub(crate) fn hello_with(extra: Vec<(u16, Vec<u8>)>) -> Vec<u8> {
    let mut extensions = usual();
    extensions.extend(extra);
    records(&handshake(&extensions), 16_384)
}
