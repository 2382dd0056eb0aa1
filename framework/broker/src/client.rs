//! A small blocking client for the unit tests of this crate.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::Broker;

/// A connection to the first node.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(broker: &Broker) -> Self {
        let first = broker.bootstrap_servers().split(',').next().unwrap();
        Self::connect_to(first)
    }

    pub(crate) fn connect_to(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    /// Gives up waiting for answers after this time.
    pub(crate) fn patience(&self, time: Duration) {
        self.0.set_read_timeout(Some(time)).unwrap();
    }

    /// `Err` tells that the connection was cut.
    pub(crate) fn send(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &RequestKind,
    ) -> std::io::Result<()> {
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(api as i16)
            .with_request_api_version(version)
            .with_correlation_id(1)
            .with_client_id(Some(StrBytes::from_static_str("test")))
            .encode(&mut frame, api.request_header_version(version))
            .unwrap();
        request.encode(&mut frame, version).unwrap();
        let mut all = (frame.len() as i32).to_be_bytes().to_vec();
        all.extend_from_slice(&frame);
        self.0.write_all(&all)
    }

    /// The next answer. `Err` tells whether the connection was closed or nothing came in time.
    pub(crate) fn receive(&mut self, api: ApiKey, version: i16) -> std::io::Result<ResponseKind> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, api.response_header_version(version)).unwrap();
        Ok(ResponseKind::decode(api, &mut answer, version).unwrap())
    }

    pub(crate) fn call(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &RequestKind,
    ) -> std::io::Result<ResponseKind> {
        self.send(api, version, request)?;
        self.receive(api, version)
    }
}
