//! One connection to one broker: frames, versions, the login.
//!
//! Knows no topics. Invariants: one question is under way at a time; a connection on which anything
//! went wrong is not used again, because a late answer would be taken for the next one's.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::messages::Ask;
use super::shape;
use crate::config::{ClientConfig, Server};
use crate::error::{InspectError, name_of};
use crate::security::{Exchange, Login};
use crate::table::shown;

/// As large as Kafka's own requests may be. Its answers to what is asked here are far smaller.
const MAX_FRAME: usize = 100 << 20;

/// What bytes go over.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(super) struct Connection {
    broker: String,
    io: Box<dyn Io>,
    client_id: StrBytes,
    correlation_id: i32,
    request_timeout: Duration,
    /// The first and last version of each request that the broker answers.
    versions: BTreeMap<i16, (i16, i16)>,
}

impl Connection {
    /// Connects, agrees on TLS, asks what the broker speaks, and logs in.
    pub(super) async fn open(server: &Server, config: &ClientConfig) -> Result<Self, InspectError> {
        let broker = server.to_string();
        let connect = TcpStream::connect((server.host.as_str(), server.port));
        let within = config.connect_timeout;
        let stream = match timeout(within, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(InspectError::Connect { broker, source }),
            Err(_) => return Err(InspectError::TimedOut { broker, request: "connect", within }),
        };
        // A question is one small write, which waits for nothing else.
        let _ = stream.set_nodelay(true);
        let io = secured(server, config, stream).await?;
        let mut connection = Self {
            broker,
            io,
            client_id: StrBytes::from_string(config.client_id.clone()),
            correlation_id: 0,
            request_timeout: config.request_timeout,
            versions: BTreeMap::new(),
        };
        let answer = connection.exchange(&ApiVersionsRequest::default(), 0).await?;
        if answer.error_code != 0 {
            return Err(connection.refused::<ApiVersionsRequest>(answer.error_code));
        }
        let versions = answer.api_keys.iter();
        connection.versions =
            versions.map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        if let Some(login) = &config.security.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// Asks in the newest version that both sides speak.
    pub(super) async fn ask<A: Ask>(&mut self, request: &A) -> Result<A::Answer, InspectError> {
        let unsupported = |reason| InspectError::Unsupported {
            broker: self.broker.clone(),
            request: A::NAME,
            reason,
        };
        let Some((min, max)) = self.versions.get(&A::KEY) else {
            return Err(unsupported(format!("at all; Apache Kafka has it since {}", A::SINCE)));
        };
        let version = A::MAX.min(*max);
        if version < A::MIN.max(*min) {
            let (ours_min, ours_max) = (A::MIN, A::MAX);
            return Err(unsupported(format!(
                "in the versions {ours_min} to {ours_max} of this client: it has {min} to {max}"
            )));
        }
        self.exchange(request, version).await
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), InspectError> {
        let mechanism = login.mechanism.name();
        let failed = |broker: &str, reason: String| InspectError::Login {
            broker: broker.to_owned(),
            mechanism,
            reason,
        };
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let answer = self.ask(&handshake).await?;
        if answer.error_code != 0 {
            let offered: Vec<String> = answer.mechanisms.iter().map(|name| shown(name)).collect();
            let reason = format!("{}; it takes {}", name_of(answer.error_code), offered.join(", "));
            return Err(failed(&self.broker, reason));
        }
        let mut exchange: Exchange =
            login.begin().map_err(|reason| failed(&self.broker, reason))?;
        while let Some(message) = exchange.next() {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
            let answer = self.ask(&request).await?;
            if answer.error_code != 0 {
                let text = answer.error_message.unwrap_or_default();
                let name = name_of(answer.error_code);
                let reason = format!("{name}: {}", shown(login.harmless(&text)));
                return Err(failed(&self.broker, reason));
            }
            let answered = exchange.answered(&answer.auth_bytes);
            answered.map_err(|reason| failed(&self.broker, reason))?;
        }
        Ok(())
    }

    /// An error code as an error.
    pub(super) fn refused<A: Ask>(&self, code: i16) -> InspectError {
        let broker = self.broker.clone();
        InspectError::Refused { broker, request: A::NAME, error: name_of(code) }
    }

    async fn exchange<A: Ask>(
        &mut self,
        request: &A,
        version: i16,
    ) -> Result<A::Answer, InspectError> {
        self.correlation_id += 1;
        let frame = self.encode(request, version).map_err(|reason| self.not_kafka::<A>(reason))?;
        let (broker, within) = (self.broker.clone(), self.request_timeout);
        let io = &mut self.io;
        let sent_and_answered = async {
            io.write_all(&frame).await?;
            io.flush().await?;
            receive(io).await
        };
        let answer = in_time(&broker, A::NAME, within, sent_and_answered).await?;
        let answer = answer.map_err(|reason| self.not_kafka::<A>(reason))?;
        self.decode::<A>(answer, version).map_err(|reason| self.not_kafka::<A>(reason))
    }

    fn not_kafka<A: Ask>(&self, reason: String) -> InspectError {
        InspectError::NotKafka { broker: self.broker.clone(), request: A::NAME, reason }
    }

    /// A request with its length before it.
    fn encode<A: Ask>(&self, request: &A, version: i16) -> Result<Bytes, String> {
        let header = RequestHeader::default()
            .with_request_api_key(A::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::zeroed(4);
        let encoded = header
            .encode(&mut frame, A::header_version(version))
            .and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|e| format!("the request cannot be written: {e}"))?;
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }

    fn decode<A: Ask>(&self, mut frame: Bytes, version: i16) -> Result<A::Answer, String> {
        let header = ResponseHeader::decode(&mut frame, A::Answer::header_version(version))
            .map_err(|e| format!("its head: {e}"))?;
        if header.correlation_id != self.correlation_id {
            return Err("it answers another question".to_owned());
        }
        if !shape::fits(A::shape(version), version >= A::FLEXIBLE, &frame) {
            return Err(format!("it has not the form of version {version}"));
        }
        A::Answer::decode(&mut frame, version).map_err(|e| e.to_string())
    }
}

/// The next frame; the text says what is wrong with its length.
async fn receive(io: &mut Box<dyn Io>) -> io::Result<Result<Bytes, String>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=MAX_FRAME).contains(&length) {
        return Ok(Err(format!("it would have {length} bytes")));
    }
    // What is there is taken, and not what is claimed reserved.
    let mut frame = BytesMut::new();
    let mut limited = io.take(length as u64);
    while frame.len() < length {
        if limited.read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Ok(frame.copy_to_bytes(length)))
}

async fn in_time<T>(
    broker: &str,
    request: &'static str,
    within: Duration,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, InspectError> {
    let broker = broker.to_owned();
    match timeout(within, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => {
            Err(InspectError::Closed { broker, request, reason: source.to_string() })
        }
        Err(_) => Err(InspectError::TimedOut { broker, request, within }),
    }
}

#[cfg(feature = "tls")]
async fn secured(
    server: &Server,
    config: &ClientConfig,
    stream: TcpStream,
) -> Result<Box<dyn Io>, InspectError> {
    let Some(tls) = &config.security.tls else { return Ok(Box::new(stream)) };
    let (broker, within) = (server.to_string(), config.request_timeout);
    match timeout(within, tls.handshake(&server.host, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(reason)) => Err(InspectError::Tls { broker, reason }),
        Err(_) => Err(InspectError::TimedOut { broker, request: "the TLS handshake", within }),
    }
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::unused_async, reason = "with TLS there is a handshake to wait for")]
async fn secured(
    _: &Server,
    _: &ClientConfig,
    stream: TcpStream,
) -> Result<Box<dyn Io>, InspectError> {
    Ok(Box::new(stream))
}
