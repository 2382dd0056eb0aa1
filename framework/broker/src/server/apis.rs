//! The requests this broker answers, the versions it announces, and the form of each request.
//!
//! Versions end where the next one needs what this broker does not have: topic ids in Fetch (13),
//! second-generation transactions in Produce (12), `AddPartitionsToTxn` (4), `EndTxn` and
//! `TxnOffsetCommit` (5), topic ids in `OffsetCommit` (10).
//! The forms are taken from Kafka's message definitions (`clients/src/main/resources/common/message`).
//! In them `1`, `2`, `4` and `8` are numbers of so many bytes, `u` a UUID, `s` a string, `b` bytes,
//! `[x]` an array of such, `(...)` an array of structs. Tagged fields follow the flexible versions.

use kafka_protocol::messages::ApiKey;

/// For requests without flexible versions.
const NEVER: i16 = i16::MAX;

/// One kind of request.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// The first version with compact fields and tags.
    pub(crate) flexible: i16,
    /// Forms, each with the first version it holds for.
    shapes: &'static [(i16, &'static str)],
}

impl Api {
    /// The request with this key, if it is answered here.
    pub(crate) fn find(key: i16) -> Option<&'static Self> {
        APIS.iter().find(|api| api.key as i16 == key)
    }

    pub(crate) fn supports(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The form of a version.
    pub(crate) fn shape(&self, version: i16) -> &'static str {
        let last = self.shapes.iter().rev().find(|(from, _)| *from <= version);
        last.map_or("", |(_, shape)| shape)
    }
}

/// All of them, by key.
#[rustfmt::skip]
pub(crate) const APIS: &[Api] = &[
    Api { key: ApiKey::Produce, min: 3, max: 11, flexible: 9, shapes: &[(3, "s24(s(4b))")] },
    Api { key: ApiKey::Fetch, min: 4, max: 12, flexible: 12, shapes: &[(4, "44441(s(484))"), (5, "44441(s(4884))"), (7, "4444144(s(4884))(s[4])"), (9, "4444144(s(44884))(s[4])"), (11, "4444144(s(44884))(s[4])s"), (12, "4444144(s(448484))(s[4])s")] },
    Api { key: ApiKey::ListOffsets, min: 1, max: 10, flexible: 6, shapes: &[(1, "4(s(48))"), (2, "41(s(48))"), (4, "41(s(448))"), (10, "41(s(448))4")] },
    Api { key: ApiKey::Metadata, min: 0, max: 13, flexible: 9, shapes: &[(0, "(s)"), (4, "(s)1"), (8, "(s)111"), (10, "(us)111"), (11, "(us)11")] },
    Api { key: ApiKey::OffsetCommit, min: 2, max: 9, flexible: 8, shapes: &[(2, "s4s8(s(48s))"), (5, "s4s(s(48s))"), (6, "s4s(s(484s))"), (7, "s4ss(s(484s))")] },
    Api { key: ApiKey::OffsetFetch, min: 1, max: 9, flexible: 6, shapes: &[(1, "s(s[4])"), (7, "s(s[4])1"), (8, "(s(s[4]))1"), (9, "(ss4(s[4]))1")] },
    Api { key: ApiKey::FindCoordinator, min: 0, max: 5, flexible: 3, shapes: &[(0, "s"), (1, "s1"), (4, "1[s]")] },
    Api { key: ApiKey::JoinGroup, min: 0, max: 9, flexible: 6, shapes: &[(0, "s4ss(sb)"), (1, "s44ss(sb)"), (5, "s44sss(sb)"), (8, "s44sss(sb)s")] },
    Api { key: ApiKey::Heartbeat, min: 0, max: 4, flexible: 4, shapes: &[(0, "s4s"), (3, "s4ss")] },
    Api { key: ApiKey::LeaveGroup, min: 0, max: 5, flexible: 4, shapes: &[(0, "ss"), (3, "s(ss)"), (5, "s(sss)")] },
    Api { key: ApiKey::SyncGroup, min: 0, max: 5, flexible: 4, shapes: &[(0, "s4s(sb)"), (3, "s4ss(sb)"), (5, "s4ssss(sb)")] },
    Api { key: ApiKey::DescribeGroups, min: 0, max: 6, flexible: 5, shapes: &[(0, "[s]"), (3, "[s]1")] },
    Api { key: ApiKey::ListGroups, min: 0, max: 5, flexible: 3, shapes: &[(0, ""), (4, "[s]"), (5, "[s][s]")] },
    Api { key: ApiKey::ApiVersions, min: 0, max: 4, flexible: 3, shapes: &[(0, ""), (3, "ss")] },
    Api { key: ApiKey::CreateTopics, min: 2, max: 7, flexible: 5, shapes: &[(2, "(s42(4[4])(ss))41")] },
    Api { key: ApiKey::DeleteTopics, min: 1, max: 6, flexible: 4, shapes: &[(1, "[s]4"), (6, "(su)4")] },
    Api { key: ApiKey::DeleteRecords, min: 0, max: 2, flexible: 2, shapes: &[(0, "(s(48))4")] },
    Api { key: ApiKey::InitProducerId, min: 0, max: 5, flexible: 2, shapes: &[(0, "s4"), (3, "s482")] },
    Api { key: ApiKey::OffsetForLeaderEpoch, min: 2, max: 4, flexible: 4, shapes: &[(2, "(s(444))"), (3, "4(s(444))")] },
    Api { key: ApiKey::AddPartitionsToTxn, min: 0, max: 3, flexible: 3, shapes: &[(0, "s82(s[4])")] },
    Api { key: ApiKey::AddOffsetsToTxn, min: 0, max: 4, flexible: 3, shapes: &[(0, "s82s")] },
    Api { key: ApiKey::EndTxn, min: 0, max: 4, flexible: 3, shapes: &[(0, "s821")] },
    Api { key: ApiKey::TxnOffsetCommit, min: 0, max: 4, flexible: 3, shapes: &[(0, "ss82(s(48s))"), (2, "ss82(s(484s))"), (3, "ss824ss(s(484s))")] },
    Api { key: ApiKey::DescribeConfigs, min: 1, max: 4, flexible: 4, shapes: &[(1, "(1s[s])1"), (3, "(1s[s])11")] },
    Api { key: ApiKey::AlterConfigs, min: 0, max: 2, flexible: 2, shapes: &[(0, "(1s(ss))1")] },
    Api { key: ApiKey::IncrementalAlterConfigs, min: 0, max: 1, flexible: 1, shapes: &[(0, "(1s(s1s))1")] },
    Api { key: ApiKey::CreatePartitions, min: 0, max: 3, flexible: 2, shapes: &[(0, "(s4([4]))41")] },
    Api { key: ApiKey::DeleteGroups, min: 0, max: 2, flexible: 2, shapes: &[(0, "[s]")] },
    Api { key: ApiKey::OffsetDelete, min: 0, max: 0, flexible: NEVER, shapes: &[(0, "s(s(4))")] },
    Api { key: ApiKey::DescribeCluster, min: 0, max: 2, flexible: 0, shapes: &[(0, "1"), (1, "11"), (2, "111")] },
    Api { key: ApiKey::DescribeProducers, min: 0, max: 0, flexible: 0, shapes: &[(0, "(s[4])")] },
    Api { key: ApiKey::DescribeTransactions, min: 0, max: 0, flexible: 0, shapes: &[(0, "[s]")] },
    Api { key: ApiKey::ListTransactions, min: 0, max: 1, flexible: 0, shapes: &[(0, "[s][8]"), (1, "[s][8]8")] },
];
