//! The command line's end of the socket.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::{Code, Command, Failure, Method};
use crate::words::{Message, Said};

/// Bytes of a reply that are read: a year of incidents fits.
const MAX_REPLY: usize = 64 << 20;

/// A client; each call is a connection of its own.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    runtime: Runtime,
    timezone: OnceCell<TimeZone>,
}

impl Client {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the system gives no event queue.
    pub fn new(socket: &Path) -> Result<Self, Failure> {
        Ok(Self {
            socket: socket.to_owned(),
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::new(Code::Internal, error.to_string()))?,
            timezone: OnceCell::new(),
        })
    }

    /// The school's time zone, as the agent's answers tell it; before the
    /// first one, this machine's.
    pub fn timezone(&self) -> TimeZone {
        self.timezone
            .get()
            .map_or_else(TimeZone::system, TimeZone::clone)
    }

    /// Sends a command and waits for the reply.
    ///
    /// # Errors
    /// What the agent answers, or [`Code::Unreachable`].
    pub fn call<C: Command>(&self, command: &C) -> Result<C::Reply, Failure> {
        let body = self.runtime.block_on(async {
            let response = self.send(command).await?;
            whole(response.into_body()).await
        })?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(
                Code::Internal,
                format!("the agent's reply is not understood ({error}); is it another version?"),
            )
        })
    }

    /// Hands each line of the event stream to `line` until it says stop.
    ///
    /// # Errors
    /// What the agent answers, or [`Code::Unreachable`].
    pub fn follow(&self, mut line: impl FnMut(&str) -> bool) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let request = Request::get(super::api::EVENTS).body(Full::default());
            let mut body = self.exchange(request).await?.into_body();
            let mut rest = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| self.unreachable(&error))?;
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                    rest.drain(..=end);
                    if !line(&text) {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    async fn send<C: Command>(&self, command: &C) -> Result<Response<Incoming>, Failure> {
        let request = match C::METHOD {
            Method::Get => {
                Request::get(format!("{}{}", C::PATH, query(command)?)).body(Full::default())
            }
            Method::Post => {
                let body = serde_json::to_vec(command)
                    .map_err(|error| Failure::bad_request(error.to_string()))?;
                Request::post(C::PATH)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(body)))
            }
        };
        self.exchange(request).await
    }

    async fn exchange(
        &self,
        request: hyper::http::Result<Request<Full<Bytes>>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = request.map_err(|error| Failure::bad_request(error.to_string()))?;
        request.headers_mut().insert(
            "host",
            hyper::header::HeaderValue::from_static("filter-agent"),
        );
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.no_connection(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error))?;
        tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let zone = response.headers().get(super::api::TIMEZONE);
        if let Some(zone) = zone.and_then(|name| TimeZone::get(name.to_str().ok()?).ok()) {
            // Only a new policy has another one, and a client asks but once.
            let _ = self.timezone.set(zone);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let body = whole(response.into_body()).await?;
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| {
            Failure::new(
                Code::Internal,
                String::from_utf8_lossy(&body).trim().to_owned(),
            )
        }))
    }

    fn no_connection(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::new(
                Code::Forbidden,
                Said::new(Message::MayNotOpenSocket).with("socket", socket),
            ),
            _ => Failure::new(
                Code::Unreachable,
                Said::new(Message::NobodyAnswers)
                    .with("socket", socket)
                    .with("error", error),
            ),
        }
    }

    fn unreachable(&self, error: &hyper::Error) -> Failure {
        Failure::new(
            Code::Unreachable,
            Said::new(Message::HungUp)
                .with("socket", self.socket.display())
                .with("error", error),
        )
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Failure> {
    http_body_util::Limited::new(body, MAX_REPLY)
        .collect()
        .await
        .map(|body| body.to_bytes())
        .map_err(|error| Failure::new(Code::Unreachable, error.to_string()))
}

/// The fields of a request as a query (RFC 3986 §3.4); absent ones are left
/// out.
fn query(request: &impl Serialize) -> Result<String, Failure> {
    let value =
        serde_json::to_value(request).map_err(|error| Failure::bad_request(error.to_string()))?;
    let mut query = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                // Writing into a String cannot fail.
                let _ = write!(query, "%{byte:02X}");
            }
        }
    }
    Ok(query)
}
