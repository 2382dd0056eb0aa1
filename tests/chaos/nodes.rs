//! What each node tells of a topic, asked one by one.
//!
//! A client library asks whichever node it likes, and one may lag behind another: a producer that
//! is told of fewer partitions than it has written to forgets some of them. Knows nothing of
//! applications.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, HeaderVersion as _};
use oncestream_tests::kafka::kafka;
use oncestream_tests::raw::text;

/// How long a node may take. A paused one takes longer, and is asked again.
const ANSWER: Duration = Duration::from_secs(2);
/// With a flag that no topic shall be created by asking.
const VERSION: i16 = 4;

/// Whether every node that listens tells of so many partitions, with leaders. One that is down
/// learns of them before it listens again.
pub(crate) fn all_tell(topic: &str, partitions: i32) -> bool {
    let told: Vec<Result<i32>> =
        kafka().bootstrap_servers().split(',').map(|server| told(server, topic)).collect();
    told.iter().any(Result::is_ok)
        && told.iter().all(|told| match told {
            Ok(count) => *count == partitions,
            Err(e) => e.kind() == ErrorKind::ConnectionRefused,
        })
}

/// The partitions of a topic that have leaders.
fn told(server: &str, topic: &str) -> Result<i32> {
    let address: SocketAddr = server.parse().map_err(Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Metadata as i16)
        .with_request_api_version(VERSION);
    let request = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(text(topic)))]))
        .with_allow_auto_topic_creation(false);
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, MetadataRequest::header_version(VERSION))
        .and_then(|()| request.encode(&mut frame, VERSION))
        .map_err(Error::other)?;
    stream.write_all(&(frame.len() as u32).to_be_bytes())?;
    stream.write_all(&frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    let mut answer = Bytes::from(answer);
    let metadata = ResponseHeader::decode(&mut answer, MetadataResponse::header_version(VERSION))
        .and_then(|_| MetadataResponse::decode(&mut answer, VERSION))
        .map_err(Error::other)?;
    let partitions = metadata.topics.iter().flat_map(|t| &t.partitions);
    Ok(partitions.filter(|p| p.leader_id.0 >= 0).count() as i32)
}
