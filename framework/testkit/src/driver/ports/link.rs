//! One client's connection to the broker, with the answer that belongs to each request.
//!
//! It knows the life of its instance: after a crash no call does anything any more.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use oncestream_broker::{LocalConnection, PendingAnswer};
use oncestream_engine::ClientError;

use super::errors;
use super::site::Site;

/// How long an answer may take that a fault delays, and the step in which it is awaited.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(1);

/// A request with the answer that belongs to it.
pub(in super::super) trait Ask: Into<RequestKind> {
    type Answer;
    fn take(answer: ResponseKind) -> Option<Self::Answer>;
}

macro_rules! asks {
    ($($name:ident: $request:ident => $response:ident,)*) => {
        $(
            impl Ask for kafka_protocol::messages::$request {
                type Answer = kafka_protocol::messages::$response;
                fn take(answer: ResponseKind) -> Option<Self::Answer> {
                    match answer {
                        ResponseKind::$name(answer) => Some(answer),
                        _ => None,
                    }
                }
            }
        )*
    };
}

asks! {
    AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse,
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse,
    EndTxn: EndTxnRequest => EndTxnResponse,
    Fetch: FetchRequest => FetchResponse,
    Heartbeat: HeartbeatRequest => HeartbeatResponse,
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse,
    JoinGroup: JoinGroupRequest => JoinGroupResponse,
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse,
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
    Metadata: MetadataRequest => MetadataResponse,
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse,
    Produce: ProduceRequest => ProduceResponse,
    SyncGroup: SyncGroupRequest => SyncGroupResponse,
    TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse,
}

/// A text of a request.
pub(in super::super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A connection of an instance.
#[derive(Clone)]
pub(in super::super) struct Link {
    connection: LocalConnection,
    pub(super) site: Arc<Site>,
}

impl Link {
    pub(in super::super) fn new(site: &Arc<Site>, client_id: &str) -> Self {
        Self { connection: site.world.broker.connect(client_id), site: site.clone() }
    }

    pub(super) fn client_id(&self) -> &str {
        self.connection.client_id()
    }

    /// Sends a request whose answer may have to wait.
    pub(super) fn send(&self, request: impl Ask) -> PendingAnswer {
        self.connection.send(request)
    }

    /// Sends a request and takes its answer. It waits only if a fault makes it.
    pub(in super::super) fn call<R: Ask>(&self, request: R) -> Result<R::Answer, ClientError> {
        self.site.check()?;
        let mut pending = self.send(request);
        let mut waited = Duration::ZERO;
        loop {
            match taken::<R>(&mut pending) {
                Some(answer) => return answer,
                None if waited >= PATIENCE => return Err(errors::no_answer()),
                None => {
                    self.site.sleep(STEP);
                    waited += STEP;
                }
            }
        }
    }
}

/// The answer to a request, if it is there.
pub(super) fn taken<R: Ask>(pending: &mut PendingAnswer) -> Option<Result<R::Answer, ClientError>> {
    let answer = pending.poll()?;
    let answer = answer.ok().flatten().and_then(R::take);
    Some(answer.ok_or_else(errors::no_answer))
}
