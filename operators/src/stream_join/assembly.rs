//! The nodes and the stores of a join, put into the graph. It knows names and serdes, and no records.

use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{GraphBuilder, NodeId};
use oncestream_core::serde::DynSerde;
use oncestream_core::state::{KeyValueStore, Window, WindowStore};
use oncestream_core::task::{Node, TaskBuilder};

use super::joiner::{Joiner, OfOne, same_type};
use super::keep::Keep;
use super::names::JoinNames;
use super::non_matches::NonMatches;
use super::row::{WaitingKeySerde, WaitingSerde};
use super::self_join::SelfJoin;
use super::side::{OfLeft, OfRight, Side, SideNode};
use crate::dsl::{Data, Dsl, StoreKey};
use crate::optimization::JoinOfOne;
use crate::options::StreamJoined;
use crate::stream::{HopNames, JoinSide, KStream, PassThrough};

impl<K: StoreKey, L: Data> KStream<K, L> {
    /// Adds a join of any kind.
    pub(super) fn join_by<R: Data, O: Data, J: Joiner<K, L, R, O>>(
        &self,
        other: &KStream<K, R>,
        options: StreamJoined<K, L, R>,
        joiner: J,
    ) -> KStream<K, O> {
        let dsl = &self.dsl;
        let options = self.named_join(options);
        if !dsl.is(&other.dsl) {
            let node = options.name.unwrap_or_else(|| "a join".to_owned());
            dsl.fail(TopologyError::ForeignHandle { node });
            return KStream::new(dsl.clone(), self.node, false);
        }
        let left = self.partitioned_side(&options, "-left", &options.value_serde);
        let right = other.partitioned_side(&options, "-right", &options.other_value_serde);
        let keeps = (J::KEEPS_LEFT, J::KEEPS_RIGHT);
        let names = JoinNames::generate(dsl, &options, keeps);
        dsl.graph(|g| g.copartition(&[left, right]));
        refuse_windows(dsl, &options, &names.merge);
        let (of_left, of_right) = (&options.value_serde, &options.other_value_serde);
        let keep_left =
            add_keep(dsl, left, (&names.keep_left, &names.left_store), &options, of_left);
        let keep_right =
            add_keep(dsl, right, (&names.keep_right, &names.right_store), &options, of_right);
        note_store(dsl, &names.left_store, &names);
        note_store(dsl, &names.right_store, &names);
        let waits = keeps != (false, false);
        if waits {
            dsl.keep_null_keys(left);
            dsl.keep_null_keys(right);
            note_store(dsl, &names.waiting_store, &names);
            add_waiting_store(dsl, &names.waiting_store, &options);
        }
        let waiting_store = waits.then(|| names.waiting_store.clone());
        let (value, other_value) = (of_left.clone(), of_right.clone());
        let join = Arc::new(Join { options, joiner: Arc::new(joiner), waiting_store });
        let (left_store, right_store) = (names.left_store.clone(), names.right_store.clone());
        let (of_left, of_right) = (names.right_store, names.left_store);
        let join_left = join.add::<OfLeft, O>(dsl, keep_left, &names.join_left, of_left, value);
        let join_right =
            join.add::<OfRight, O>(dsl, keep_right, &names.join_right, of_right, other_value);
        let merge = dsl.graph(|g| {
            g.add_processor(&names.merge, &[join_left, join_right], &[], |b, id| {
                Ok(Box::new(PassThrough { out: b.downstream(id)? }) as Box<dyn Node<K, O>>)
            })
        });
        if let Some(as_right) = same_type::<L, R>().filter(|_| !waits) {
            let rewrite = move |g: &mut GraphBuilder| {
                for node in [join_left, join_right, keep_right] {
                    g.take_out(node);
                }
                g.take_out_store(&right_store);
                g.add_parent(merge, keep_left);
                let joiner = Arc::new(OfOne { joiner: join.joiner.clone(), as_right });
                let options = join.options.of_one();
                let factory = self_join_factory(options, joiner, left_store.clone());
                g.replace_processor(merge, &[left_store], factory);
            };
            let keeps = [keep_left, keep_right];
            dsl.note_join_of_one(JoinOfOne { keeps, rewrite: Box::new(rewrite) });
        }
        KStream::new(dsl.clone(), merge, false)
    }

    /// Adds a join of the stream with itself.
    pub(super) fn self_join_by<O: Data, J: Joiner<K, L, L, O>>(
        &self,
        options: StreamJoined<K, L, L>,
        joiner: J,
    ) -> KStream<K, O> {
        let dsl = &self.dsl;
        let options = self.named_join(options);
        let parent = self.partitioned_side(&options, "-left", &options.value_serde);
        if self.repartition_required {
            // Kafka Streams uses up those of the other side too.
            HopNames::generate(dsl);
        }
        let names = JoinNames::generate(dsl, &options, (false, false));
        refuse_windows(dsl, &options, &names.merge);
        note_store(dsl, &names.left_store, &names);
        let store = names.left_store.clone();
        let keep =
            add_keep(dsl, parent, (&names.keep_left, &store), &options, &options.value_serde);
        let factory = self_join_factory(options, Arc::new(joiner), store.clone());
        let node = dsl.graph(|g| g.add_processor(&names.merge, &[keep], &[store], factory));
        KStream::new(dsl.clone(), node, false)
    }

    /// A name that was given before is the join's, unless it has one.
    fn named_join<R>(&self, options: StreamJoined<K, L, R>) -> StreamJoined<K, L, R> {
        let before = self.next_name.take().map(|name| name.as_str().to_owned());
        let name = options.name.clone().or(before);
        StreamJoined { name, ..options }
    }

    /// The node to join below, which is one of a repartition topic if the key may have changed.
    fn partitioned_side<L2, R>(
        &self,
        options: &StreamJoined<K, L2, R>,
        suffix: &str,
        value_serde: &DynSerde<L>,
    ) -> NodeId {
        self.partitioned_for_join(JoinSide {
            topic: options.name.as_ref().map(|name| format!("{name}{suffix}")),
            key_serde: options.key_serde.clone(),
            value_serde: value_serde.clone(),
        })
    }
}

/// What makes the node of a join of a stream with itself.
fn self_join_factory<K: StoreKey, V: Data, O: Data, J: Joiner<K, V, V, O>>(
    options: StreamJoined<K, V, V>,
    joiner: Arc<J>,
    store: Arc<str>,
) -> impl Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, V>>, TopologyError>
+ Send
+ Sync
+ 'static {
    move |b, id| {
        Ok(Box::new(SelfJoin {
            joiner: joiner.clone(),
            key_serde: options.key_serde.clone(),
            value_serde: options.value_serde.clone(),
            windows: options.windows,
            store: b.store(id, &store)?,
            observed: b.remembered_time(&format!("{store}-observed")),
            out: b.downstream(id)?,
        }))
    }
}

/// What the nodes of both sides are made of.
struct Join<K, L, R, J> {
    options: StreamJoined<K, L, R>,
    joiner: Arc<J>,
    /// Of what was joined with none.
    waiting_store: Option<Arc<str>>,
}

impl<K: StoreKey, L: Data, R: Data, J> Join<K, L, R, J> {
    /// Adds the node of one side, which looks into the store of the other one.
    fn add<S, O>(
        self: &Arc<Self>,
        dsl: &Dsl,
        parent: NodeId,
        name: &str,
        other_store: Arc<str>,
        value_serde: DynSerde<S::This>,
    ) -> NodeId
    where
        S: Side<L, R>,
        O: Data,
        J: Joiner<K, L, R, O>,
    {
        let mut stores = vec![other_store.clone()];
        stores.extend(self.waiting_store.clone());
        let join = self.clone();
        dsl.graph(|g| {
            g.add_processor(name, &[parent], &stores, move |b, id| {
                let StreamJoined { key_serde, windows, look_every, .. } = &join.options;
                let waiting = join.waiting_store.as_ref();
                let non_matches =
                    waiting.map(|store| NonMatches::in_common(b, id, store, *windows, *look_every));
                Ok(Box::new(SideNode::<S, K, L, R, O, J> {
                    joiner: join.joiner.clone(),
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    windows: *windows,
                    other: b.store(id, &other_store)?,
                    non_matches: non_matches.transpose()?,
                    out: b.downstream(id)?,
                }) as Box<dyn Node<K, S::This>>)
            })
        })
    }
}

/// Adds the node that keeps a stream's records, and its store.
fn add_keep<K: StoreKey, V: Data, L, R>(
    dsl: &Dsl,
    parent: NodeId,
    (name, store): (&str, &Arc<str>),
    options: &StreamJoined<K, L, R>,
    value_serde: &DynSerde<V>,
) -> NodeId {
    let retention = options.windows.retention();
    let changelog = options.changelog_of_stream();
    let (key_serde, value_serde) = (options.key_serde.clone(), value_serde.clone());
    let (keys, values) = (key_serde.clone(), value_serde.clone());
    let of_node = store.clone();
    dsl.graph(|g| {
        g.add_store(store, changelog, move |init| {
            let kind = Window::new(retention).retain_duplicates();
            WindowStore::of_kind(kind, init, keys.clone(), values.clone())
        });
        g.add_processor(
            name,
            &[parent],
            std::slice::from_ref(store),
            move |b: &mut TaskBuilder<'_>, id| {
                Ok(Box::new(Keep {
                    name: b.node_name(id),
                    key_serde: key_serde.clone(),
                    value_serde: value_serde.clone(),
                    store: b.store(id, &of_node)?,
                    out: b.downstream(id)?,
                }) as Box<dyn Node<K, V>>)
            },
        )
    })
}

/// Adds the store of what was joined with none.
fn add_waiting_store<K: StoreKey, L: Data, R: Data>(
    dsl: &Dsl,
    name: &str,
    options: &StreamJoined<K, L, R>,
) {
    let keys = options.key_serde.clone();
    let (left, right) = (options.value_serde.clone(), options.other_value_serde.clone());
    dsl.graph(|g| {
        g.add_store(name, options.changelog_of_waiting(), move |init| {
            let keys = Arc::new(WaitingKeySerde(keys.clone()));
            let values = WaitingSerde { left: left.clone(), right: right.clone() };
            KeyValueStore::new(init, keys, Arc::new(values))
        });
    });
}

fn note_store(dsl: &Dsl, name: &str, names: &JoinNames) {
    if names.stores_generated {
        dsl.note_generated_store(name);
    }
}

/// `build` fails if there can be no such windows.
fn refuse_windows<K, L, R>(dsl: &Dsl, options: &StreamJoined<K, L, R>, node: &str) {
    if let Some(reason) = options.windows.fault() {
        dsl.fail(TopologyError::InvalidWindows { node: node.to_owned(), reason });
    }
}
