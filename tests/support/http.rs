//! Connections by address: TLS to the webhooks, and plain HTTP for health and metrics.

use std::net::SocketAddr;
use std::path::Path;

use hyper::Method;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::client::{Client, Reply, connector, handshake, request};

impl Client {
    pub async fn new(ca: &Path, address: SocketAddr, protocol: &str) -> Self {
        let connector = connector(ca, protocol, rustls::ALL_VERSIONS);
        Self::over(handshake(&connector, tcp(address).await).await).await
    }
}

/// Opens a TCP connection without Nagle's algorithm, as Go's clients do. With it, the end of a request waits up to 40
/// ms for the acknowledgement of its beginning.
pub async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends a GET over plain HTTP, on a new connection.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    get_as(address, path, &[]).await
}

/// Sends a GET with these headers.
pub async fn get_as(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request(Method::GET, path, None, "");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    Reply::of(send.send_request(request).await.unwrap()).await
}
