//! The page over TCP: one path, few connections, short times.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Scrapers at once; Prometheus uses one or two.
const MAX_CONNECTIONS: usize = 8;
/// For a request to come, and for a connection as a whole.
const REQUEST_TIME: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Serves `GET /metrics` until the task is dropped; `page` runs on a thread
/// of its own.
pub async fn serve<P>(listener: TcpListener, page: P)
where
    P: Fn() -> Result<String, String> + Send + Sync + 'static,
{
    let page = Arc::new(page);
    let answer = move || {
        let page = Arc::clone(&page);
        async move {
            let text = tokio::task::spawn_blocking(move || page()).await;
            match text.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(text) => {
                    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
                }
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
            }
        }
    };
    let router = Router::new().route("/metrics", get(answer));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, for example: others will be closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIME)
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that hangs up or takes too long has nobody to be told.
            let _ = tokio::time::timeout(CONNECTION_TIME, served).await;
            drop(place);
        });
    }
}
