//! The requests that are sent, the versions of them that are spoken, and the forms of the answers.
//!
//! Invariant: none of them changes anything on a broker.

use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeProducersRequest, DescribeProducersResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, MetadataRequest, MetadataResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

/// A request.
pub(crate) trait Ask: Encodable + HeaderVersion {
    /// What a broker answers it with.
    type Answer: Decodable + HeaderVersion;
    /// Kafka's number of it.
    const KEY: i16;
    /// Kafka's name of it.
    const NAME: &'static str;
    /// The first version that is spoken.
    const MIN: i16;
    /// The last one.
    const MAX: i16;
    /// The first version of compact fields and tags.
    const FLEXIBLE: i16;
    /// Since when Apache Kafka has it.
    const SINCE: &'static str;

    /// The form of an answer of a version.
    fn shape(version: i16) -> &'static str;
}

macro_rules! ask {
    ($request:ident, $answer:ident, $key:literal, $name:literal, $versions:expr, $flexible:expr, $since:literal, $shape:expr) => {
        impl Ask for $request {
            type Answer = $answer;
            const KEY: i16 = $key;
            const NAME: &'static str = $name;
            const MIN: i16 = $versions.0;
            const MAX: i16 = $versions.1;
            const FLEXIBLE: i16 = $flexible;
            const SINCE: &'static str = $since;

            fn shape(version: i16) -> &'static str {
                $shape(version)
            }
        }
    };
}

/// For answers without compact fields.
const NEVER: i16 = i16::MAX;

// Version 0 of the first is what every broker answers; a broker that does not know a later one says so
// in another form.
ask!(
    ApiVersionsRequest,
    ApiVersionsResponse,
    18,
    "ApiVersions",
    (0, 0),
    NEVER,
    "0.10",
    |_| "2(222)"
);
ask!(
    SaslHandshakeRequest,
    SaslHandshakeResponse,
    17,
    "SaslHandshake",
    (1, 1),
    NEVER,
    "1.0",
    |_| "2[s]"
);
ask!(
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    36,
    "SaslAuthenticate",
    (0, 0),
    NEVER,
    "1.0",
    |_| "2sb"
);
// From version 4 on it can be told not to create the topic it asks for.
ask!(
    MetadataRequest,
    MetadataResponse,
    3,
    "Metadata",
    (4, 12),
    9,
    "0.11",
    |version| match version {
        ..5 => "4(4s4s)s4(2s1(244[4][4]))",
        5..7 => "4(4s4s)s4(2s1(244[4][4][4]))",
        7 => "4(4s4s)s4(2s1(2444[4][4][4]))",
        8..10 => "4(4s4s)s4(2s1(2444[4][4][4])4)4",
        10 => "4(4s4s)s4(2su1(2444[4][4][4])4)4",
        _ => "4(4s4s)s4(2su1(2444[4][4][4])4)",
    }
);
ask!(
    DescribeProducersRequest,
    DescribeProducersResponse,
    61,
    "DescribeProducers",
    (0, 0),
    0,
    "2.8",
    |_| "4(s(42s(844848)))"
);
ask!(
    ListTransactionsRequest,
    ListTransactionsResponse,
    66,
    "ListTransactions",
    (0, 0),
    0,
    "3.0",
    |_| "42[s](s8s)"
);
ask!(
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    65,
    "DescribeTransactions",
    (0, 0),
    0,
    "3.0",
    |_| "4(2ss4882(s[4]))"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use bytes::BytesMut;
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    use kafka_protocol::messages::describe_producers_response::{
        PartitionResponse, ProducerState, TopicResponse,
    };
    use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
    use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::{BrokerId, TopicName, TransactionalId};
    use kafka_protocol::protocol::StrBytes;

    use super::super::shape::fits;
    use super::*;

    const TEXT: StrBytes = StrBytes::from_static_str("text");

    /// In each version the answer has its form, and whatever was cut off it has not.
    fn has_its_form<A: Ask<Answer: Encodable>>(answer: &A::Answer) {
        for version in A::MIN..=A::MAX {
            let mut bytes = BytesMut::new();
            answer.encode(&mut bytes, version).unwrap();
            let (shape, flexible) = (A::shape(version), version >= A::FLEXIBLE);
            assert!(fits(shape, flexible, &bytes), "{} {version}", A::NAME);
            for length in 0..bytes.len() {
                assert!(!fits(shape, flexible, &bytes[..length]), "{} {version}", A::NAME);
            }
        }
    }

    #[test]
    fn every_answer_in_every_version_has_its_form() {
        let version = ApiVersion::default().with_api_key(3).with_max_version(12);
        let answer = ApiVersionsResponse::default().with_api_keys(vec![version]);
        has_its_form::<ApiVersionsRequest>(&answer);
        let answer = SaslHandshakeResponse::default().with_mechanisms(vec![TEXT]);
        has_its_form::<SaslHandshakeRequest>(&answer);
        let answer = SaslAuthenticateResponse::default()
            .with_error_message(Some(TEXT))
            .with_auth_bytes(TEXT.into_bytes());
        has_its_form::<SaslAuthenticateRequest>(&answer);

        let producer = PartitionResponse::default()
            .with_error_message(Some(TEXT))
            .with_active_producers(vec![ProducerState::default(); 2]);
        let topic =
            TopicResponse::default().with_name(TopicName(TEXT)).with_partitions(vec![producer]);
        let answer = DescribeProducersResponse::default().with_topics(vec![topic]);
        has_its_form::<DescribeProducersRequest>(&answer);

        let listed = Listed::default()
            .with_transactional_id(TransactionalId(TEXT))
            .with_transaction_state(TEXT);
        let answer = ListTransactionsResponse::default()
            .with_unknown_state_filters(vec![TEXT])
            .with_transaction_states(vec![listed]);
        has_its_form::<ListTransactionsRequest>(&answer);

        let topic = TopicData::default().with_topic(TopicName(TEXT)).with_partitions(vec![0, 1]);
        let state = TransactionState::default()
            .with_transactional_id(TransactionalId(TEXT))
            .with_transaction_state(TEXT)
            .with_topics(vec![topic]);
        let answer = DescribeTransactionsResponse::default().with_transaction_states(vec![state]);
        has_its_form::<DescribeTransactionsRequest>(&answer);
    }

    #[test]
    fn metadata_has_its_form_in_every_version() {
        let broker = MetadataResponseBroker::default().with_host(TEXT).with_rack(Some(TEXT));
        let partition = MetadataResponsePartition::default()
            .with_replica_nodes(vec![BrokerId(1); 3])
            .with_isr_nodes(vec![BrokerId(1); 2]);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(TEXT)))
            .with_partitions(vec![partition; 2]);
        let answer = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(TEXT))
            .with_topics(vec![topic]);
        has_its_form::<MetadataRequest>(&answer);
    }
}
