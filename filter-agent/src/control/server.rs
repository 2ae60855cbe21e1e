//! The server: bounded connections, bounded bodies, roles by peer
//! credentials.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Frame;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::tz::TimeZone;
use nix::unistd::Group;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use super::{Code, Command, Credentials, Failure, MAX_BODY, Method, Peer, Role};
use crate::words::{Message, Said};

/// Connections at once.
const MAX_CONNECTIONS: usize = 64;
/// Connections of one user at once, so that nobody can lock out the others.
const MAX_PER_USER: usize = 16;
/// Connections past those bounds that are told so; further ones are closed at
/// once, or the agent would run out of descriptors.
const MAX_REFUSED: usize = 32;
/// A client that has not sent its request by then is gone.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The user database of a school may be a directory that does not answer; a
/// caller waits so long for it.
const WHO_TIME: Duration = Duration::from_secs(5);
/// Callers at once about whom the user database is asked; each takes a thread
/// until it answers.
const MAX_ASKED: usize = 16;

/// What stands behind the socket.
pub trait Agent: Send + Sync + 'static {
    /// The caller's role; `None`: no business here. Runs on a thread of its
    /// own: it may ask the system's user database.
    fn role(&self, credentials: &Credentials) -> Option<Role>;

    /// The school's time zone.
    fn timezone(&self) -> TimeZone;

    /// Lines of JSON, one an event, until either side closes.
    ///
    /// # Errors
    /// When too many follow already.
    fn follow(&self) -> Result<mpsc::Receiver<Bytes>, Failure>;
}

/// Answers one command.
pub trait Serve<C: Command>: Agent {
    /// Runs on a thread of its own and may take its time.
    ///
    /// # Errors
    /// What the caller is told; nothing was changed then.
    fn serve(&self, peer: &Peer, request: C) -> Result<C::Reply, Failure>;
}

/// The paths of a server.
#[derive(Debug)]
pub struct Routes<A> {
    gate: Gate<A>,
    router: Router,
}

impl<A: Agent> Routes<A> {
    /// Starts with `GET /v1/events` alone.
    pub fn new(agent: Arc<A>) -> Self {
        let gate = Gate {
            agent,
            asked: Arc::new(Semaphore::new(MAX_ASKED)),
        };
        let follow = {
            let gate = gate.clone();
            get(
                move |Extension(credentials): Extension<Credentials>| async move {
                    gate.pass(credentials, Role::Responsible)
                        .await
                        .and_then(|_| gate.agent.follow())
                        .map_or_else(IntoResponse::into_response, |lines| {
                            (
                                [(header::CONTENT_TYPE, "application/x-ndjson")],
                                Body::new(Lines(lines)),
                            )
                                .into_response()
                        })
                },
            )
        };
        Self {
            gate,
            router: Router::new().route(super::api::EVENTS, follow),
        }
    }

    /// Adds a command.
    #[must_use]
    pub fn command<C: Command>(mut self) -> Self
    where
        A: Serve<C>,
    {
        let gate = self.gate.clone();
        let answer = move |Extension(credentials): Extension<Credentials>, request: Request| async move {
            respond::<C, A>(gate, credentials, request)
                .await
                .map_or_else(IntoResponse::into_response, |reply| {
                    Json(reply).into_response()
                })
        };
        let method = match C::METHOD {
            Method::Get => get(answer),
            Method::Post => post(answer),
        };
        self.router = self.router.route(C::PATH, method);
        self
    }

    /// The finished service.
    pub fn router(self) -> Router {
        let agent = self.gate.agent;
        let with_timezone = move |mut response: Response| {
            let zone = agent.timezone();
            if let Some(name) = zone.iana_name().and_then(|name| name.parse().ok()) {
                response.headers_mut().insert(super::api::TIMEZONE, name);
            }
            std::future::ready(response)
        };
        self.router
            .fallback(|| async {
                Failure::not_found("no such path; see: filter-agent help").into_response()
            })
            .method_not_allowed_fallback(|| async {
                Failure::bad_request("what asks is a GET, what changes is a POST").into_response()
            })
            .layer(axum::middleware::map_response(with_timezone))
    }
}

/// Listens at `path`, for root and one Unix group (mode 0660).
///
/// # Errors
/// When another agent answers there, the group does not exist, or the folder
/// cannot be written.
pub fn bind(path: &Path, group: Option<&str>) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another filter-agent answers at {}", path.display()),
        ));
    }
    let gid = group.map(group_number).transpose()?.flatten();
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Until the mode is set only root can connect: a new socket is writable
    // for its owner alone.
    let listener = UnixListener::bind(path)?;
    std::os::unix::fs::chown(path, None, gid)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// The number of a Unix group; `None` when the user database does not answer,
/// which is no reason not to filter.
fn group_number(name: &str) -> io::Result<Option<u32>> {
    let (tell, told) = std::sync::mpsc::channel();
    let wanted = name.to_owned();
    std::thread::Builder::new()
        .name("group".into())
        .spawn(move || {
            let group = Group::from_name(&wanted);
            // Too late for whoever asked.
            let _ = tell.send(group.ok().flatten().map(|group| group.gid.as_raw()));
        })?;
    match told.recv_timeout(WHO_TIME) {
        Ok(Some(gid)) => Ok(Some(gid)),
        Ok(None) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no group {name}; create it: groupadd --system {name}"),
        )),
        Err(_) => {
            eprintln!(
                "filter-agent: the user database does not tell the group {name} \
                 (try: getent group {name}); until the next start only root may open the socket"
            );
            Ok(None)
        }
    }
}

/// Serves until the task is dropped.
pub async fn run(listener: UnixListener, router: Router) {
    let places = Arc::new(Places::default());
    let refusals = Arc::new(Semaphore::new(MAX_REFUSED));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of descriptors, for example: others will be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(credentials) = Credentials::of(&stream) else {
            continue;
        };
        let place = places.take(credentials.uid);
        let refused = match &place {
            Some(_) => None,
            None => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => continue,
            },
        };
        let served = connection(stream, credentials, place, router.clone());
        tokio::spawn(async move {
            served.await;
            drop(refused);
        });
    }
}

async fn connection(
    stream: UnixStream,
    credentials: Credentials,
    place: Option<Place>,
    router: Router,
) {
    let router = match place {
        Some(_) => router,
        None => Router::new().fallback(|| async {
            Failure::new(Code::Busy, "too many connections; try again").into_response()
        }),
    };
    let service = TowerToHyperService::new(router.layer(Extension(credentials)));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .serve_connection(TokioIo::new(stream), service);
    // A client that hangs up in the middle has nobody to be told.
    let _ = served.await;
    drop(place);
}

async fn respond<C: Command, A: Serve<C>>(
    gate: Gate<A>,
    credentials: Credentials,
    request: Request,
) -> Result<C::Reply, Failure> {
    let peer = gate.pass(credentials, C::ROLE).await?;
    let command: C = match C::METHOD {
        Method::Get => {
            Query::try_from_uri(request.uri())
                .map_err(|error| Failure::bad_request(error.body_text()))?
                .0
        }
        Method::Post => {
            let body = Limited::new(request.into_body(), MAX_BODY).collect();
            let body = tokio::time::timeout(REQUEST_TIME, body)
                .await
                .map_err(|_| Failure::bad_request("the request's body did not come"))?
                .map_err(|error| {
                    Failure::bad_request(format!("{error}; at most {MAX_BODY} bytes are read"))
                })?
                .to_bytes();
            let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
            serde_json::from_slice(body).map_err(|error| {
                Failure::bad_request(format!("the body is not what {} takes: {error}", C::PATH))
            })?
        }
    };
    tokio::task::spawn_blocking(move || gate.agent.serve(&peer, command))
        .await
        .map_err(|error| Failure::new(Code::Internal, error.to_string()))?
}

/// Lets in whoever may.
#[derive(Debug)]
struct Gate<A> {
    agent: Arc<A>,
    asked: Arc<Semaphore>,
}

impl<A> Clone for Gate<A> {
    fn clone(&self) -> Self {
        Self {
            agent: Arc::clone(&self.agent),
            asked: Arc::clone(&self.asked),
        }
    }
}

impl<A: Agent> Gate<A> {
    async fn pass(&self, credentials: Credentials, need: Role) -> Result<Peer, Failure> {
        let peer = self.identify(credentials).await?;
        if peer.role >= Some(need) {
            return Ok(peer);
        }
        let said = match peer.role {
            Some(role) => Said::new(Message::NeedsRole).with_texts("have", role.names()),
            None => Said::new(Message::NoRole),
        };
        let said = said.with("who", &peer.name);
        Err(Failure::new(
            Code::Forbidden,
            said.with_texts("need", need.names()),
        ))
    }

    /// Name and role, from the user database: never on the thread that serves
    /// all others, and not for longer than a person waits.
    async fn identify(&self, credentials: Credentials) -> Result<Peer, Failure> {
        let uid = credentials.uid;
        let silent = || Failure::new(Code::Busy, Said::new(Message::WhoAreYou).with("uid", uid));
        let place = || Arc::clone(&self.asked).try_acquire_owned();
        // Those about whom nobody answers do not keep root out.
        let place = match credentials.is_root() {
            true => None,
            false => Some(place().map_err(|_| silent())?),
        };
        let agent = Arc::clone(&self.agent);
        let asked = tokio::task::spawn_blocking(move || {
            let peer = Peer {
                uid,
                name: credentials.login(),
                role: agent.role(&credentials),
            };
            drop(place);
            peer
        });
        match tokio::time::timeout(WHO_TIME, asked).await {
            Ok(answer) => answer.map_err(|error| Failure::new(Code::Internal, error.to_string())),
            Err(_) => Err(silent()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}

/// A body that comes line by line.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// Connections in use, by user.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<u32, usize>>);

impl Places {
    fn take(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = used.values().sum();
        let own = used.entry(uid).or_default();
        // Root comes through even when users hold every place.
        if uid != 0 && (all >= MAX_CONNECTIONS || *own >= MAX_PER_USER)
            || uid == 0 && *own >= MAX_CONNECTIONS
        {
            return None;
        }
        *own += 1;
        Some(Place {
            uid,
            places: Arc::clone(self),
        })
    }
}

#[derive(Debug)]
struct Place {
    uid: u32,
    places: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut used = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = used.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                used.remove(&self.uid);
            }
        }
    }
}
