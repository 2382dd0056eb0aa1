//! An answer that says nothing but an error code, for every kind of request.
//!
//! As Kafka's `getErrorResponse`: the code stands wherever the answer has room for one.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterConfigsResponse, ApiVersionsResponse,
    CreatePartitionsResponse, CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse,
    DeleteTopicsResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse,
    DescribeProducersResponse, DescribeTransactionsResponse, EndTxnResponse, FetchResponse,
    FindCoordinatorResponse, HeartbeatResponse, IncrementalAlterConfigsResponse,
    InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse,
    ListOffsetsResponse, ListTransactionsResponse, MetadataResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse,
    RequestKind, ResponseKind, SyncGroupResponse, TxnOffsetCommitResponse,
    add_partitions_to_txn_response as add_partitions, alter_configs_response,
    create_partitions_response, create_topics_response, delete_groups_response,
    delete_records_response, delete_topics_response, describe_configs_response,
    describe_groups_response, describe_producers_response, describe_transactions_response,
    fetch_response, find_coordinator_response, incremental_alter_configs_response,
    list_offsets_response, metadata_response, offset_commit_response, offset_fetch_response,
    offset_for_leader_epoch_response, produce_response, txn_offset_commit_response,
};

use crate::server::Origin;

/// Answers a request with an error code.
#[allow(clippy::too_many_lines, reason = "one arm for each kind of request")]
pub(crate) fn refuse(origin: &Origin, request: &RequestKind, error: ResponseError) -> ResponseKind {
    use RequestKind as Q;
    use ResponseKind as A;
    let code = error.code();
    match request {
        Q::Produce(r) => {
            A::Produce(ProduceResponse::default().with_responses(map(&r.topic_data, |topic| {
                produce_response::TopicProduceResponse::default()
                    .with_name(topic.name.clone())
                    .with_partition_responses(map(&topic.partition_data, |partition| {
                        produce_response::PartitionProduceResponse::default()
                            .with_index(partition.index)
                            .with_error_code(code)
                            .with_base_offset(-1)
                    }))
            })))
        }
        Q::Fetch(r) => A::Fetch(FetchResponse::default().with_responses(map(&r.topics, |topic| {
            fetch_response::FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_partitions(map(&topic.partitions, |partition| {
                    fetch_response::PartitionData::default()
                        .with_partition_index(partition.partition)
                        .with_error_code(code)
                        .with_high_watermark(-1)
                        .with_last_stable_offset(-1)
                        .with_log_start_offset(-1)
                        .with_records(Some(bytes::Bytes::new()))
                }))
        }))),
        Q::ListOffsets(r) => {
            A::ListOffsets(ListOffsetsResponse::default().with_topics(map(&r.topics, |topic| {
                list_offsets_response::ListOffsetsTopicResponse::default()
                    .with_name(topic.name.clone())
                    .with_partitions(map(&topic.partitions, |partition| {
                        list_offsets_response::ListOffsetsPartitionResponse::default()
                            .with_partition_index(partition.partition_index)
                            .with_error_code(code)
                    }))
            })))
        }
        Q::Metadata(r) => {
            let topics = r.topics.iter().flatten().map(|topic| {
                metadata_response::MetadataResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_error_code(code)
            });
            A::Metadata(MetadataResponse::default().with_topics(topics.collect()))
        }
        Q::OffsetCommit(r) => {
            A::OffsetCommit(OffsetCommitResponse::default().with_topics(map(&r.topics, |topic| {
                offset_commit_response::OffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(map(&topic.partitions, |partition| {
                        offset_commit_response::OffsetCommitResponsePartition::default()
                            .with_partition_index(partition.partition_index)
                            .with_error_code(code)
                    }))
            })))
        }
        Q::OffsetFetch(r) if origin.version >= 8 => {
            A::OffsetFetch(OffsetFetchResponse::default().with_groups(map(&r.groups, |group| {
                offset_fetch_response::OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id.clone())
                    .with_error_code(code)
            })))
        }
        Q::OffsetFetch(_) => A::OffsetFetch(OffsetFetchResponse::default().with_error_code(code)),
        Q::FindCoordinator(r) if origin.version >= 4 => A::FindCoordinator(
            FindCoordinatorResponse::default().with_coordinators(map(&r.coordinator_keys, |key| {
                find_coordinator_response::Coordinator::default()
                    .with_key(key.clone())
                    .with_node_id((-1).into())
                    .with_port(-1)
                    .with_error_code(code)
            })),
        ),
        Q::FindCoordinator(_) => A::FindCoordinator(
            FindCoordinatorResponse::default()
                .with_error_code(code)
                .with_node_id((-1).into())
                .with_port(-1),
        ),
        Q::JoinGroup(r) => A::JoinGroup(
            JoinGroupResponse::default()
                .with_error_code(code)
                .with_generation_id(-1)
                .with_protocol_name((origin.version < 7).then(Default::default))
                .with_member_id(r.member_id.clone()),
        ),
        Q::SyncGroup(_) => A::SyncGroup(SyncGroupResponse::default().with_error_code(code)),
        Q::Heartbeat(_) => A::Heartbeat(HeartbeatResponse::default().with_error_code(code)),
        Q::LeaveGroup(_) => A::LeaveGroup(LeaveGroupResponse::default().with_error_code(code)),
        Q::DescribeGroups(r) => {
            A::DescribeGroups(DescribeGroupsResponse::default().with_groups(map(&r.groups, |id| {
                describe_groups_response::DescribedGroup::default()
                    .with_group_id(id.clone())
                    .with_error_code(code)
            })))
        }
        Q::ListGroups(_) => A::ListGroups(ListGroupsResponse::default().with_error_code(code)),
        Q::ApiVersions(_) => A::ApiVersions(ApiVersionsResponse::default().with_error_code(code)),
        Q::CreateTopics(r) => {
            A::CreateTopics(CreateTopicsResponse::default().with_topics(map(&r.topics, |topic| {
                create_topics_response::CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code)
            })))
        }
        Q::DeleteTopics(r) => {
            let named = r.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
            let old = r.topic_names.iter().map(|name| (Some(name.clone()), uuid::Uuid::nil()));
            let responses = old.chain(named).map(|(name, id)| {
                delete_topics_response::DeletableTopicResult::default()
                    .with_name(name)
                    .with_topic_id(id)
                    .with_error_code(code)
            });
            A::DeleteTopics(DeleteTopicsResponse::default().with_responses(responses.collect()))
        }
        Q::DeleteRecords(r) => A::DeleteRecords(DeleteRecordsResponse::default().with_topics(map(
            &r.topics,
            |topic| {
                delete_records_response::DeleteRecordsTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_partitions(map(&topic.partitions, |partition| {
                        delete_records_response::DeleteRecordsPartitionResult::default()
                            .with_partition_index(partition.partition_index)
                            .with_low_watermark(-1)
                            .with_error_code(code)
                    }))
            },
        ))),
        Q::InitProducerId(_) => A::InitProducerId(
            InitProducerIdResponse::default().with_error_code(code).with_producer_id((-1).into()),
        ),
        Q::OffsetForLeaderEpoch(r) => A::OffsetForLeaderEpoch(
            OffsetForLeaderEpochResponse::default().with_topics(map(&r.topics, |topic| {
                offset_for_leader_epoch_response::OffsetForLeaderTopicResult::default()
                    .with_topic(topic.topic.clone())
                    .with_partitions(map(&topic.partitions, |partition| {
                        offset_for_leader_epoch_response::EpochEndOffset::default()
                            .with_partition(partition.partition)
                            .with_error_code(code)
                    }))
            })),
        ),
        Q::AddPartitionsToTxn(r) => A::AddPartitionsToTxn(
            AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(map(
                &r.v3_and_below_topics,
                |topic| {
                    add_partitions::AddPartitionsToTxnTopicResult::default()
                        .with_name(topic.name.clone())
                        .with_results_by_partition(map(&topic.partitions, |partition| {
                            add_partitions::AddPartitionsToTxnPartitionResult::default()
                                .with_partition_index(*partition)
                                .with_partition_error_code(code)
                        }))
                },
            )),
        ),
        Q::AddOffsetsToTxn(_) => {
            A::AddOffsetsToTxn(AddOffsetsToTxnResponse::default().with_error_code(code))
        }
        Q::EndTxn(_) => A::EndTxn(EndTxnResponse::default().with_error_code(code)),
        Q::TxnOffsetCommit(r) => A::TxnOffsetCommit(
            TxnOffsetCommitResponse::default().with_topics(map(&r.topics, |topic| {
                txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(map(&topic.partitions, |partition| {
                        txn_offset_commit_response::TxnOffsetCommitResponsePartition::default()
                            .with_partition_index(partition.partition_index)
                            .with_error_code(code)
                    }))
            })),
        ),
        Q::DescribeConfigs(r) => A::DescribeConfigs(
            DescribeConfigsResponse::default().with_results(map(&r.resources, |resource| {
                describe_configs_response::DescribeConfigsResult::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name.clone())
                    .with_error_code(code)
            })),
        ),
        Q::AlterConfigs(r) => A::AlterConfigs(AlterConfigsResponse::default().with_responses(map(
            &r.resources,
            |resource| {
                alter_configs_response::AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name.clone())
                    .with_error_code(code)
            },
        ))),
        Q::IncrementalAlterConfigs(r) => {
            A::IncrementalAlterConfigs(IncrementalAlterConfigsResponse::default().with_responses(
                map(&r.resources, |resource| {
                    incremental_alter_configs_response::AlterConfigsResourceResponse::default()
                        .with_resource_type(resource.resource_type)
                        .with_resource_name(resource.resource_name.clone())
                        .with_error_code(code)
                }),
            ))
        }
        Q::CreatePartitions(r) => A::CreatePartitions(
            CreatePartitionsResponse::default().with_results(map(&r.topics, |topic| {
                create_partitions_response::CreatePartitionsTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code)
            })),
        ),
        Q::DeleteGroups(r) => A::DeleteGroups(DeleteGroupsResponse::default().with_results(map(
            &r.groups_names,
            |id| {
                delete_groups_response::DeletableGroupResult::default()
                    .with_group_id(id.clone())
                    .with_error_code(code)
            },
        ))),
        Q::OffsetDelete(_) => {
            A::OffsetDelete(OffsetDeleteResponse::default().with_error_code(code))
        }
        Q::DescribeProducers(r) => A::DescribeProducers(
            DescribeProducersResponse::default().with_topics(map(&r.topics, |topic| {
                describe_producers_response::TopicResponse::default()
                    .with_name(topic.name.clone())
                    .with_partitions(map(&topic.partition_indexes, |partition| {
                        describe_producers_response::PartitionResponse::default()
                            .with_partition_index(*partition)
                            .with_error_code(code)
                    }))
            })),
        ),
        Q::DescribeTransactions(r) => A::DescribeTransactions(
            DescribeTransactionsResponse::default().with_transaction_states(map(
                &r.transactional_ids,
                |id| {
                    describe_transactions_response::TransactionState::default()
                        .with_transactional_id(id.clone())
                        .with_error_code(code)
                },
            )),
        ),
        Q::ListTransactions(_) => {
            A::ListTransactions(ListTransactionsResponse::default().with_error_code(code))
        }
        // DescribeCluster; nothing else is announced.
        _ => A::DescribeCluster(DescribeClusterResponse::default().with_error_code(code)),
    }
}

fn map<T, U>(items: &[T], f: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(f).collect()
}
