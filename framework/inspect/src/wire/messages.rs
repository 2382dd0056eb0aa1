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
