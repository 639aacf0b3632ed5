//! One connection: its handshake, its requests, and the ways it ends: by its peer, when it is idle, when its peer takes no
//! answers, when others need its memory, and when the server stops.

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
    HEAD_BYTES, HEADER_LIST_BYTES, PING_INTERVAL, PING_TIMEOUT, STREAMS, TLS_WRITE_BYTES, WINDOW_BYTES, WRONG_STREAMS,
};
use super::memory::ConnectionMemory;
use super::timeouts::{Activity, Protocol, TimeoutStream};
use crate::config::Limits;
use crate::tls::client_auth;

/// How far the server has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum StopStage {
    Serving,
    /// What comes is still answered, but clients are sent elsewhere.
    Leaving,
    Stopping,
}

/// What the requests of a connection share.
#[derive(Clone)]
pub struct ConnectionContext {
    pub peer: SocketAddr,
    pub activity: Arc<Activity>,
    pub memory: Arc<ConnectionMemory>,
}

/// Shakes hands and serves until the connection ends. A handshake under way when the server stops is given up:
/// no request of it has been taken.
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
    let shaken = tokio::select! {
        () = reaching(&mut stop, StopStage::Stopping) => return,
        shaken = timeout(limits.handshake, tls.accept(io)) => shaken,
    };
    let mut stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics.handshakes_failed.inc();
            if let Some(why) = client_auth::rejection(&error) {
                // Before it is counted, so that the line is there when the count is seen.
                if let Some(left_out) = shared.log_limiter.admit(Instant::now()) {
                    tracing::warn!(%peer, %why, left_out, "a client was rejected");
                }
                metrics.clients_rejected.inc();
            }
            return tracing::debug!(%peer, %error, "TLS handshake failed");
        }
        Err(_) => {
            metrics.handshakes_failed.inc();
            return tracing::debug!(%peer, "TLS handshake took too long");
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
    // An HTTP/2 client that is told to go loses no request: those that were not taken it sends again elsewhere. One that
    // comes later has nowhere better to go.
    let until = if protocol == Protocol::Http2 && *stop.borrow() == StopStage::Serving {
        StopStage::Leaving
    } else {
        StopStage::Stopping
    };
    let service = service_fn(|mut request: Request<Incoming>| {
        let begun = connection.activity.begin();
        request.extensions_mut().insert(connection.clone());
        let answer = router.clone().oneshot(request);
        let stop = stop.clone();
        let activity = connection.activity.clone();
        async move {
            let mut answer = answer.await;
            activity.answered();
            // The client goes elsewhere with its next request. Closed by us later, the connection might take one with it.
            if let Ok(answer) = &mut answer
                && protocol == Protocol::Http1
                && *stop.borrow() != StopStage::Serving
            {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(begun);
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
            http.max_local_error_reset_streams(WRONG_STREAMS);
            drive(http.serve_connection(io, service), &connection, limits, stop.clone(), until).await
        }
    };
    if let Err(error) = ended {
        // A peer that goes away is no error of ours.
        tracing::debug!(%error, "connection ended");
    }
}

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
            () = connection.memory.evicted() => "others need the memory of its answers",
            () = connection.memory.untaken_for(limits.write) => "the client takes no answer",
        }
    };
    let shut_down = async {
        tokio::select! {
            () = reaching(&mut stop, until) => {}
            () = connection.activity.quiet_for(limits.idle) => {}
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
    // Closes an idle connection at once; else `Connection: close` or GOAWAY goes with the answers in flight.
    http.as_mut().graceful_shutdown();
    // An HTTP/2 peer that never began, or never acknowledges, would hold it.
    timeout(limits.drain, http).await.unwrap_or(Ok(()))
}

/// Returns when the server has stopped so far, or is gone.
pub async fn reaching(stop: &mut watch::Receiver<StopStage>, stage: StopStage) {
    // An error means that the sender is gone, and with it the server.
    let _ = stop.wait_for(|reached| *reached >= stage).await;
}
