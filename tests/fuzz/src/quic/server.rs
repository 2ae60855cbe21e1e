//! quinn as a server: which names it hears.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, ServerConfig,
};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::ours::normal;

thread_local! {
    /// What the witness heard since the server was made.
    static HEARD: RefCell<Vec<Option<String>>> = const { RefCell::new(Vec::new()) };
}

/// Notes the name and has no certificate for it: the handshake ends there.
#[derive(Debug)]
struct Witness;

impl ResolvesServerCert for Witness {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        HEARD.with_borrow_mut(|heard| heard.push(hello.server_name().map(normal)));
        None
    }
}

static CONFIG: LazyLock<Option<(Arc<EndpointConfig>, Arc<ServerConfig>)>> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .ok()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Witness));
    let quic = QuicServerConfig::try_from(tls).ok()?;
    Some((
        Arc::new(EndpointConfig::default()),
        Arc::new(ServerConfig::with_crypto(Arc::new(quic))),
    ))
});

pub(super) struct Server {
    endpoint: Endpoint,
    connections: Vec<(ConnectionHandle, Connection)>,
    answers: Vec<u8>,
    now: Instant,
}

impl Server {
    /// A server that has heard nothing; one at a time in a thread.
    pub(super) fn new() -> Option<Self> {
        let (endpoint, server) = CONFIG.as_ref()?;
        HEARD.with_borrow_mut(Vec::clear);
        Some(Self {
            endpoint: Endpoint::new(endpoint.clone(), Some(server.clone()), false, Some([7; 32])),
            connections: Vec::new(),
            answers: Vec::new(),
            now: Instant::now(),
        })
    }

    /// Hands over a datagram of the one client.
    pub(super) fn datagram(&mut self, datagram: &[u8]) {
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        let data = BytesMut::from(datagram);
        let answers = &mut self.answers;
        match self
            .endpoint
            .handle(self.now, remote, None, None, data, answers)
        {
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, self.now, answers, None);
                self.connections.extend(accepted.ok());
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                for (known, connection) in &mut self.connections {
                    if *known == handle {
                        connection.handle_event(event);
                        break;
                    }
                }
            }
            _ => {}
        }
        answers.clear();
    }

    /// The names it heard, `None` for a hello without one that it knows.
    pub(super) fn heard(&self) -> Vec<Option<String>> {
        HEARD.with_borrow(Clone::clone)
    }
}
