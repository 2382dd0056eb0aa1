//! What a user can do about an error of librdkafka. Decides nothing: the engine does.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::verdict::code_of;

/// What to do about an error, for its message; empty where nothing better is known than what the
/// client says.
pub(super) fn advice(error: &KafkaError) -> &'static str {
    let Some(code) = code_of(error) else { return "" };
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => {
            "; raise max.message.bytes of the topic and producer.message.max.bytes, or lower \
             producer.batch.size if the records themselves are small"
        }
        Code::InvalidTimestamp => {
            "; a timestamp is in milliseconds: correct it where it is made, or let the topic take \
             it with message.timestamp.after.max.ms and message.timestamp.before.max.ms"
        }
        Code::InvalidRecord | Code::InvalidDifferentRecord => {
            "; the topic's rules refuse a record of the batch: a compacted topic wants keys, and \
             timestamps lie within message.timestamp.after.max.ms and .before.max.ms"
        }
        Code::PolicyViolation => "; a policy of the brokers refuses it: ask who runs them",
        Code::InvalidTopic => "; no topic can have this name",
        Code::UnsupportedForMessageFormat => "; raise message.format.version of the topic",
        Code::UnsupportedCompressionType => {
            "; the brokers or the topic do not take producer.compression.type: set another one"
        }
        Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition => {
            "; create the topic, or correct its name"
        }
        Code::FencedInstanceId | Code::UnreleasedInstanceId => {
            "; another member has this group.instance.id: give each instance its own"
        }
        Code::NotImplemented => codecs(),
        Code::UnsupportedVersion | Code::UnsupportedFeature => "; upgrade the brokers",
        Code::InvalidTransactionTimeout => {
            "; lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers"
        }
        Code::InvalidSessionTimeout => {
            "; session.timeout.ms lies outside group.min.session.timeout.ms and \
             group.max.session.timeout.ms of the brokers"
        }
        Code::InconsistentGroupProtocol => {
            "; members of another kind use this application.id as their group: choose another"
        }
        Code::GroupMaxSizeReached => "; raise group.max.size of the brokers, or use fewer threads",
        Code::OffsetMetadataTooLarge | Code::InvalidCommitOffsetSize => {
            "; raise offset.metadata.max.bytes of the brokers"
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange => {
            "; the committed offset is not in the topic any more: set the group's offsets, or begin anew \
             with `oncestream reset`"
        }
        Code::InvalidTransactionalState
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId => {
            "; the brokers have lost, or ended, a transaction that this client takes for open: \
             look at transactional.id.expiration.ms and at the brokers' logs"
        }
        _ => "",
    }
}

/// What a build without codecs is told. lz4 and snappy are part of every build.
const fn codecs() -> &'static str {
    if cfg!(feature = "dynamic-linking") {
        return "; if the topic is compressed with gzip or zstd, the librdkafka that is installed \
                must know it";
    }
    match (cfg!(feature = "gzip"), cfg!(feature = "zstd")) {
        (true, true) => "",
        (true, false) => "; if the topic is compressed with zstd, build with the feature `zstd`",
        (false, true) => "; if the topic is compressed with gzip, build with the feature `gzip`",
        (false, false) => {
            "; if the topic is compressed with gzip or zstd, build with the feature `gzip` or `zstd`"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::all_codes;
    use super::*;

    #[test]
    fn the_size_is_blamed_for_errors_of_size_alone() {
        for code in all_codes() {
            let told = advice(&KafkaError::MessageProduction(code)).contains("max.message.bytes");
            let is_size = matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge);
            assert_eq!(told, is_size, "{code:?}");
        }
    }
}
