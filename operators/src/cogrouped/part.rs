//! One stream of a cogroup, whatever the type of its values.

use std::sync::Arc;

use oncestream_core::graph::NodeId;

use crate::dsl::{Data, StoreKey};
use crate::grouped::KGroupedStream;
use crate::grouped::fold::{Aggregating, Merging};
use crate::options::StoreName;
use crate::table::TableSpec;
use crate::windowed::{FixedWindows, Kept};
use crate::windows::{EmitStrategy, SessionWindows};

pub(super) type Initializer<A> = Arc<dyn Fn() -> A + Send + Sync>;
pub(super) type Aggregator<K, V, A> = Arc<dyn Fn(&K, V, A) -> Option<A> + Send + Sync>;
pub(super) type Merger<K, A> = Arc<dyn Fn(&K, A, A) -> Option<A> + Send + Sync>;

/// In which windows a cogroup aggregates.
pub(super) enum How<K, A> {
    Plain,
    Fixed(FixedWindows, Kept),
    Sessions(SessionWindows, Kept, Merger<K, A>),
}

/// A stream of a cogroup.
pub(super) trait Part<K, A> {
    /// The node to aggregate below.
    fn partitioned(&self, store: &StoreName) -> NodeId;

    /// Adds the node that aggregates.
    fn add(
        &self,
        name: &str,
        parent: NodeId,
        spec: &TableSpec<A>,
        initializer: Initializer<A>,
        how: &How<K, A>,
    ) -> NodeId;
}

pub(super) struct StreamPart<K, V, A> {
    pub(super) grouped: KGroupedStream<K, V>,
    pub(super) aggregator: Aggregator<K, V, A>,
}

impl<K: StoreKey, V: Data, A: Data> Part<K, A> for StreamPart<K, V, A> {
    fn partitioned(&self, store: &StoreName) -> NodeId {
        self.grouped.partitioned(store)
    }

    fn add(
        &self,
        name: &str,
        parent: NodeId,
        spec: &TableSpec<A>,
        initializer: Initializer<A>,
        how: &How<K, A>,
    ) -> NodeId {
        let Self { grouped, aggregator } = self;
        let aggregator = aggregator.clone();
        let aggregating = Aggregating {
            initializer: move || initializer(),
            aggregator: move |key: &K, value, all| aggregator(key, value, all),
        };
        match how {
            How::Plain => {
                let factory = grouped.plain_node(Arc::new(aggregating));
                grouped.add_aggregating(name, parent, spec, factory)
            }
            How::Fixed(windows, kept) => {
                let (emit, fold) = (EmitStrategy::on_window_update(), Arc::new(aggregating));
                let factory = grouped.window_node(*windows, emit, *kept, fold);
                grouped.add_aggregating(name, parent, spec, factory)
            }
            How::Sessions(windows, kept, merger) => {
                let merger = merger.clone();
                let merger = move |key: &K, one, two| merger(key, one, two);
                let fold = Arc::new(Merging { aggregating, merger });
                let emit = EmitStrategy::on_window_update();
                let factory = grouped.session_node(*windows, emit, *kept, fold);
                grouped.add_aggregating(name, parent, spec, factory)
            }
        }
    }
}
