//! `fragments CA HOST ADDRESS`: asks for `https://HOST/` with a hello cut into
//! TLS records of 64 bytes. Prints the answer and how long it took to come.

use std::env::args;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

/// Shorter than any hello; rustls takes no less than 32.
const RECORD: usize = 64;
const LIMIT: Duration = Duration::from_secs(4);

fn main() -> Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [authority, host, address] = arguments.as_slice() else {
        bail!("usage: fragments CA HOST ADDRESS");
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.max_fragment_size = Some(RECORD);
    let name = ServerName::try_from(host.clone())?;
    let mut session = ClientConnection::new(Arc::new(config), name)?;
    let address: IpAddr = address.parse()?;

    let start = Instant::now();
    let answer = fetch(&mut session, host, SocketAddr::new(address, 443));
    println!("\ntook {:.4}", start.elapsed().as_secs_f64());
    print!("{}", answer?);
    Ok(())
}

fn fetch(session: &mut ClientConnection, host: &str, server: SocketAddr) -> Result<String> {
    let mut socket = TcpStream::connect_timeout(&server, LIMIT).context("cannot connect")?;
    socket.set_read_timeout(Some(LIMIT))?;
    let mut stream = Stream::new(session, &mut socket);
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // The server ends without a close_notify.
        Err(error) if answer.is_empty() => Err(error.into()),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}
