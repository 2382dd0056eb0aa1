//! Deletes what repartition topics hold before the committed offsets.

use std::collections::BTreeSet;
use std::sync::Arc;

use oncestream_core::TopicPartition;
use rdkafka::admin::AdminOptions;

use super::super::lists;
use super::super::verdict::is_transient;
use super::{Admin, REQUEST_TIMEOUT};

impl Admin {
    /// Deletes the records before the given offsets. A purge that fails is tried again later.
    pub(crate) async fn purge(self: &Arc<Self>, before: Vec<(TopicPartition, i64)>) {
        let Ok(list) = lists::at_offsets(&before) else { return };
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        match self.client.delete_records(&list, &options).await {
            Err(error) => {
                tracing::warn!(%error, "cannot purge repartition topics; it will be tried again");
            }
            Ok(purged) => {
                let mut moved = BTreeSet::new();
                for p in purged.elements() {
                    match p.error() {
                        Ok(()) => {}
                        Err(error) if is_transient(&error) => {
                            tracing::debug!(
                                topic = p.topic(), partition = p.partition(), %error,
                                "cannot purge a repartition topic now; it will be tried again"
                            );
                            moved.insert(p.topic().to_owned());
                        }
                        Err(error) => tracing::warn!(
                            topic = p.topic(), partition = p.partition(), %error,
                            "cannot purge a repartition topic, which needs the right Delete on \
                             it; it grows until that is possible"
                        ),
                    }
                }
                self.find_leaders(moved).await;
            }
        }
    }

    /// Asks for the leaders of topics anew. librdkafka 2.12 does so by itself for records, but the
    /// requests of its admin client go to the leaders it knows for as long as they answer.
    async fn find_leaders(self: &Arc<Self>, topics: BTreeSet<String>) {
        for topic in topics {
            let admin = self.clone();
            let look_up = move || {
                let found = admin.client.inner().fetch_metadata(Some(&topic), REQUEST_TIMEOUT);
                if let Err(error) = found {
                    tracing::debug!(topic, %error, "no leaders were found");
                }
            };
            if tokio::task::spawn_blocking(look_up).await.is_err() {
                return;
            }
        }
    }
}
