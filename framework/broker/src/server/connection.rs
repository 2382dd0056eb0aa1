//! One connection: reads frames, answers them one after the other, writes the answers.
//!
//! What cannot be understood closes the connection, as in Kafka; other connections go on. A frame
//! is buffered as it arrives, never reserved for by the length it claims.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::Encodable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::apis::Api;
use super::course::{self, Outcome};
use super::{Origin, Shared, shape};
use crate::api;

/// So much is read at once.
const CHUNK: usize = 64 << 10;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client closed it")]
    Closed,
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a request of {length} bytes: 1 to {max} are taken")]
    Size { length: i32, max: usize },
    #[error("a request that cannot be understood: {0}")]
    Malformed(String),
    #[error("the answer cannot be encoded: {0}")]
    Answer(String),
    #[error("a produce request without acknowledgement failed")]
    Unacknowledged,
    #[error("a fault")]
    Fault,
}

/// What is done about a request.
enum Reply {
    Send(BytesMut),
    /// A produce request that wants no acknowledgement.
    Nothing,
    /// A fault: no answer ever comes, but the connection stays.
    Silence,
}

/// Serves until the client goes, breaks the protocol, or is cut off.
pub(super) async fn serve(
    shared: &Shared,
    node: i32,
    connection: u64,
    client_host: String,
    mut stream: TcpStream,
    mut cut: watch::Receiver<u64>,
) {
    // Answers are whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let origin = Origin {
        node,
        connection,
        client_id: String::new(),
        client_host,
        api: ApiKey::ApiVersions,
        version: 0,
    };
    let end = tokio::select! {
        end = exchange(shared, origin, &mut stream) => end,
        _ = cut.changed() => return,
    };
    match end {
        End::Closed | End::Fault => tracing::debug!(node, connection, %end, "connection ends"),
        _ => tracing::info!(node, connection, %end, "connection ends"),
    }
}

async fn exchange(shared: &Shared, mut origin: Origin, stream: &mut TcpStream) -> End {
    let (max, idle) = {
        let cluster = shared.cluster();
        (cluster.settings.request_max_bytes, cluster.settings.max_idle)
    };
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        let frame = match timeout(idle, next_frame(stream, &mut buffer, max)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(end)) => return end,
            Err(_) => return End::Idle(idle),
        };
        shared.while_paused(origin.node).await;
        match handle(shared, &mut origin, frame).await {
            Ok(Reply::Send(answer)) => match timeout(idle, stream.write_all(&answer)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Io(error),
                Err(_) => return End::Idle(idle),
            },
            Ok(Reply::Nothing) => {}
            Ok(Reply::Silence) => return drain(stream).await,
            Err(end) => return end,
        }
    }
}

/// Reads and ignores until the client gives up.
async fn drain(stream: &mut TcpStream) -> End {
    let mut ignored = [0; 4096];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(error) => return End::Io(error),
        }
    }
}

async fn next_frame(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    max: usize,
) -> Result<Bytes, End> {
    let mut wanted = 4;
    let mut length = None;
    loop {
        if buffer.len() >= wanted {
            if length.is_some() {
                return Ok(buffer.split_to(wanted).freeze());
            }
            let claimed = buffer.get_i32();
            wanted = usize::try_from(claimed).unwrap_or(0);
            if wanted == 0 || wanted > max {
                return Err(End::Size { length: claimed, max });
            }
            length = Some(wanted);
            continue;
        }
        // Grows with what has arrived, so that a claimed length costs nothing.
        buffer.reserve(CHUNK.max(buffer.len()).min(wanted - buffer.len()).max(CHUNK / 8));
        if stream.read_buf(buffer).await? == 0 {
            return Err(End::Closed);
        }
    }
}

/// Decodes, applies and answers one request, with the faults that are planned for it.
async fn handle(shared: &Shared, origin: &mut Origin, mut frame: Bytes) -> Result<Reply, End> {
    let malformed = |why: &str| End::Malformed(why.to_owned());
    if frame.len() < 8 {
        return Err(malformed("its header ends too early"));
    }
    let (key, version) = (frame.get_i16(), frame.get_i16());
    let correlation = frame.get_i32();
    let api = Api::find(key).ok_or_else(|| malformed(&format!("request {key} is not known")))?;
    if !api.supports(version) {
        if api.key == ApiKey::ApiVersions {
            let answer = api::unknown_api_versions();
            return encode(api, 0, correlation, &ResponseKind::ApiVersions(answer));
        }
        return Err(End::Malformed(format!("version {version} of {:?} is not known", api.key)));
    }
    let request = decode(api, version, &mut frame, origin)?;

    match course::follow(shared, origin, request).await {
        Outcome::Answer(answer) => encode(api, version, correlation, &answer),
        Outcome::Nothing => Ok(Reply::Nothing),
        Outcome::Silence => Ok(Reply::Silence),
        Outcome::Unacknowledged => Err(End::Unacknowledged),
        Outcome::Close => Err(End::Fault),
    }
}

fn decode(
    api: &Api,
    version: i16,
    frame: &mut Bytes,
    origin: &mut Origin,
) -> Result<RequestKind, End> {
    let malformed = |why: &dyn std::fmt::Display| {
        End::Malformed(format!("{:?} version {version}: {why}", api.key))
    };
    let flexible = version >= api.flexible;
    // ApiVersions has a flexible body and, for old brokers' sake, a flexible header too.
    let header = shape::check_header(flexible, frame).map_err(|e| malformed(&e))?;
    let mut header = frame.split_to(header);
    shape::check(api.shape(version), flexible, frame).map_err(|e| malformed(&e))?;

    origin.api = api.key;
    origin.version = version;
    let length = usize::try_from(header.get_i16()).unwrap_or(0);
    let id = String::from_utf8_lossy(header.get(..length).unwrap_or_default());
    if origin.client_id != id {
        origin.client_id = id.into_owned();
    }
    RequestKind::decode(api.key, frame, version).map_err(|e| malformed(&e))
}

fn encode(api: &Api, version: i16, correlation: i32, answer: &ResponseKind) -> Result<Reply, End> {
    let failed = |error: &dyn std::fmt::Display| {
        End::Answer(format!("{:?} version {version}: {error}", api.key))
    };
    let mut buffer = BytesMut::with_capacity(256);
    buffer.extend_from_slice(&[0; 4]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut buffer, answer.header_version(version)).map_err(|e| failed(&e))?;
    answer.encode(&mut buffer, version).map_err(|e| failed(&e))?;
    let length = i32::try_from(buffer.len() - 4).map_err(|e| failed(&e))?;
    buffer[..4].copy_from_slice(&length.to_be_bytes());
    Ok(Reply::Send(buffer))
}
