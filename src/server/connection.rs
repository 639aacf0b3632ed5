//! Serves one connection: its handshake and its requests. A connection ends when its peer closes it, when it is idle,
//! when its peer does not read the answers, when the memory of its answers is needed, and when the server stops.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::Shared;
use super::limits::{
    ERROR_RESETS, HEAD_BYTES, HEADER_LIST_BYTES, PING_INTERVAL, PING_TIMEOUT, STREAMS, TLS_WRITE_BYTES, WINDOW_BYTES,
};
use super::memory::ConnectionMemory;
use super::timeouts::{Activity, Protocol, TimeoutStream};
use crate::config::Limits;
use crate::tls::client_auth;

/// The stages in which the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum StopStage {
    Serving,
    /// The stop delay is running: requests are still answered, but clients are asked to open new connections, which
    /// reach other replicas.
    StopRequested,
    Stopping,
}

/// The state that the requests of a connection share.
#[derive(Clone)]
pub struct ConnectionContext {
    pub peer: SocketAddr,
    pub activity: Arc<Activity>,
    pub memory: Arc<ConnectionMemory>,
}

/// Performs the TLS handshake and serves until the connection ends. A handshake that is not finished when the server
/// stops is dropped, since no request was received on its connection.
pub async fn serve_tls<I>(
    io: I,
    connection: ConnectionContext,
    tls: TlsAcceptor,
    shared: &Shared,
    mut stop: watch::Receiver<StopStage>,
    router: Router,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Shared { metrics, .. } = shared;
    let limits = &shared.config().limits;
    let peer = connection.peer;
    let handshake = tokio::select! {
        () = wait_for_stage(&mut stop, StopStage::Stopping) => return,
        handshake = timeout(limits.handshake, tls.accept(io)) => handshake,
    };
    let mut stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics.handshakes_failed.inc();
            if let Some(reason) = client_auth::rejection(&error) {
                // Logged before it is counted: the line exists once the count is visible.
                if let Some(left_out) = shared.log_limiter.admit(Instant::now()) {
                    tracing::warn!(%peer, %reason, left_out, "a client was rejected");
                }
                metrics.clients_rejected.inc();
            }
            return tracing::debug!(%peer, %error, "TLS handshake failed");
        }
        Err(_) => {
            metrics.handshakes_failed.inc();
            return tracing::debug!(%peer, "TLS handshake timed out");
        }
    };
    metrics.handshakes.inc();
    let session = stream.get_mut().1;
    session.set_buffer_limit(Some(TLS_WRITE_BYTES));
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    serve(stream, connection, protocol, limits, stop, router).await;
}

/// Serves HTTP until the connection ends.
pub async fn serve<I>(
    io: I,
    connection: ConnectionContext,
    protocol: Protocol,
    limits: &Limits,
    stop: watch::Receiver<StopStage>,
    router: Router,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(TimeoutStream::new(io, connection.activity.clone(), protocol, limits));
    // After GOAWAY, an HTTP/2 client sends requests that were not accepted on another connection, so none is lost. A
    // client that connects after the signal to stop gets no GOAWAY during the stop delay, since its next connection
    // could reach this replica again.
    let until = if protocol == Protocol::Http2 && *stop.borrow() == StopStage::Serving {
        StopStage::StopRequested
    } else {
        StopStage::Stopping
    };
    let service = service_fn(|mut request: Request<Incoming>| {
        let in_flight = connection.activity.begin_request();
        request.extensions_mut().insert(connection.clone());
        let answer = router.clone().oneshot(request);
        let stop = stop.clone();
        let activity = connection.activity.clone();
        async move {
            let mut answer = answer.await;
            activity.answered();
            // The client sends its next request on another connection. If the server closed this one later instead, a
            // request that has just been sent would be lost.
            if let Ok(answer) = &mut answer
                && protocol == Protocol::Http1
                && *stop.borrow() != StopStage::Serving
            {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(in_flight);
            answer
        }
    });
    let ended = match protocol {
        Protocol::Http1 => {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
            drive(http.serve_connection(io, service), &connection, limits, stop.clone(), until).await
        }
        Protocol::Http2 => {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
            http.max_concurrent_streams(STREAMS).max_header_list_size(HEADER_LIST_BYTES);
            http.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
            http.max_local_error_reset_streams(ERROR_RESETS);
            drive(http.serve_connection(io, service), &connection, limits, stop.clone(), until).await
        }
    };
    if let Err(error) = ended {
        // Not an error of the server: usually the peer has closed the connection.
        tracing::debug!(%error, "connection ended");
    }
}

/// Runs a connection until it ends, has to be closed, or has shut down gracefully.
async fn drive<C: GracefulConnection>(
    http: C,
    connection: &ConnectionContext,
    limits: &Limits,
    mut stop: watch::Receiver<StopStage>,
    until: StopStage,
) -> Result<(), C::Error> {
    let mut http = pin!(http);
    let evicted = async {
        tokio::select! {
            () = connection.memory.evicted() => "the memory of its answers was needed",
            () = connection.memory.unsent_for(limits.write) => "the client did not read an answer in time",
        }
    };
    let shut_down = async {
        tokio::select! {
            () = wait_for_stage(&mut stop, until) => {}
            () = connection.activity.idle_for(limits.idle) => {}
        }
    };
    tokio::select! {
        ended = http.as_mut() => return ended,
        reason = evicted => {
            tracing::debug!(peer = %connection.peer, reason, "connection closed");
            return Ok(());
        }
        () = shut_down => {}
    }
    // Closes an idle connection at once. On any other, it sends GOAWAY, or `Connection: close` with the answers in
    // flight.
    http.as_mut().graceful_shutdown();
    // With a timeout, since an HTTP/2 peer may never have sent a frame, or may never acknowledge the GOAWAY.
    timeout(limits.drain, http).await.unwrap_or(Ok(()))
}

/// Waits until the server has reached `stage`, or was dropped.
pub async fn wait_for_stage(stop: &mut watch::Receiver<StopStage>, stage: StopStage) {
    // An error means that the sender was dropped, and with it the server.
    let _ = stop.wait_for(|reached| *reached >= stage).await;
}
