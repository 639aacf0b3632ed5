//! TLS connections for single HTTP/2 frames, and the types of frames that only attacks send.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::client::connector;
use crate::support::frames::begin;

pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub type Reader = ReadHalf<TlsStream<TcpStream>>;
pub type Writer = WriteHalf<TlsStream<TcpStream>>;

/// Opens a connection and sends its settings. Returns None where the server closes it, which it may.
pub async fn open(ca: &Path, address: SocketAddr, settings: &[(u16, u32)]) -> Option<(Reader, Writer)> {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let stream = connector(ca, "h2", rustls::ALL_VERSIONS).connect(name, stream).await.ok()?;
    let (reader, mut writer) = split(stream);
    send(&mut writer, &begin(settings)).await.then_some((reader, writer))
}

/// Sends the bytes and returns whether the connection is still open.
pub async fn send(writer: &mut Writer, bytes: &[u8]) -> bool {
    writer.write_all(bytes).await.is_ok() && writer.flush().await.is_ok()
}
