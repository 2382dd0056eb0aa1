//! The first error code in an answer, for the log of requests.

use kafka_protocol::messages::ResponseKind;

/// The first code that is not 0.
pub(crate) fn first_error(answer: &ResponseKind) -> Option<i16> {
    use ResponseKind as A;
    let first = |mut codes: Box<dyn Iterator<Item = i16> + '_>| codes.find(|code| *code != 0);
    let one = |code: i16| Some(code).filter(|code| *code != 0);
    match answer {
        A::Produce(r) => first(Box::new(
            r.responses.iter().flat_map(|t| t.partition_responses.iter().map(|p| p.error_code)),
        )),
        A::Fetch(r) => one(r.error_code).or_else(|| {
            first(Box::new(
                r.responses.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)),
            ))
        }),
        A::ListOffsets(r) => {
            first(Box::new(r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
        }
        A::Metadata(r) => first(Box::new(r.topics.iter().map(|t| t.error_code))),
        A::OffsetCommit(r) => {
            first(Box::new(r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
        }
        A::TxnOffsetCommit(r) => {
            first(Box::new(r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
        }
        A::OffsetFetch(r) => one(r.error_code)
            .or_else(|| first(Box::new(r.groups.iter().map(|g| g.error_code))))
            .or_else(|| {
                let groups = r.groups.iter().flat_map(|g| &g.topics);
                first(Box::new(groups.flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
            })
            .or_else(|| {
                first(Box::new(
                    r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)),
                ))
            }),
        A::FindCoordinator(r) => one(r.error_code)
            .or_else(|| first(Box::new(r.coordinators.iter().map(|c| c.error_code)))),
        A::JoinGroup(r) => one(r.error_code),
        A::SyncGroup(r) => one(r.error_code),
        A::Heartbeat(r) => one(r.error_code),
        A::LeaveGroup(r) => one(r.error_code),
        A::ApiVersions(r) => one(r.error_code),
        A::InitProducerId(r) => one(r.error_code),
        A::AddPartitionsToTxn(r) => first(Box::new(
            r.results_by_topic_v3_and_below
                .iter()
                .flat_map(|t| t.results_by_partition.iter().map(|p| p.partition_error_code)),
        )),
        A::AddOffsetsToTxn(r) => one(r.error_code),
        A::EndTxn(r) => one(r.error_code),
        A::CreateTopics(r) => first(Box::new(r.topics.iter().map(|t| t.error_code))),
        A::DeleteTopics(r) => first(Box::new(r.responses.iter().map(|t| t.error_code))),
        A::CreatePartitions(r) => first(Box::new(r.results.iter().map(|t| t.error_code))),
        A::DeleteRecords(r) => {
            first(Box::new(r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
        }
        A::OffsetForLeaderEpoch(r) => {
            first(Box::new(r.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code))))
        }
        A::DescribeGroups(r) => first(Box::new(r.groups.iter().map(|g| g.error_code))),
        A::DeleteGroups(r) => first(Box::new(r.results.iter().map(|g| g.error_code))),
        A::DescribeConfigs(r) => first(Box::new(r.results.iter().map(|c| c.error_code))),
        A::AlterConfigs(r) => first(Box::new(r.responses.iter().map(|c| c.error_code))),
        A::IncrementalAlterConfigs(r) => first(Box::new(r.responses.iter().map(|c| c.error_code))),
        A::ListGroups(r) => one(r.error_code),
        A::OffsetDelete(r) => one(r.error_code),
        _ => None,
    }
}
