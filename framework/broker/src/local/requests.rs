//! Which request a decoded one is, and in which version it is taken.

use kafka_protocol::messages::{ApiKey, RequestKind};

use crate::server::apis::Api;

macro_rules! requests {
    ($($name:ident,)*) => {
        /// The key of a request; none if it is not answered here.
        fn key(request: &RequestKind) -> Option<ApiKey> {
            match request {
                $(RequestKind::$name(_) => Some(ApiKey::$name),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const KEYS: &[ApiKey] = &[$(ApiKey::$name),*];
    };
}

requests! {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    OffsetCommit,
    OffsetFetch,
    FindCoordinator,
    JoinGroup,
    Heartbeat,
    LeaveGroup,
    SyncGroup,
    DescribeGroups,
    ListGroups,
    ApiVersions,
    CreateTopics,
    DeleteTopics,
    DeleteRecords,
    InitProducerId,
    OffsetForLeaderEpoch,
    AddPartitionsToTxn,
    AddOffsetsToTxn,
    EndTxn,
    TxnOffsetCommit,
    DescribeConfigs,
    AlterConfigs,
    IncrementalAlterConfigs,
    CreatePartitions,
    DeleteGroups,
    OffsetDelete,
    DescribeCluster,
    DescribeProducers,
    DescribeTransactions,
    ListTransactions,
}

/// The request's key, and the newest version of it that the broker announces.
pub(super) fn latest(request: &RequestKind) -> Option<(ApiKey, i16)> {
    let key = key(request)?;
    Some((key, Api::find(key as i16)?.max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::apis::APIS;

    #[test]
    fn every_request_that_is_announced_has_its_key() {
        for api in APIS {
            assert!(KEYS.contains(&api.key), "{:?}", api.key);
        }
    }
}
