//! Adds the nodes, topics and the store of a foreign-key join to the graph.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{ChangelogConfig, NodeId, TopicRef};
use oncestream_core::serde::{BytesSerde, DynSerde, HasSerde, OptionSerde};
use oncestream_core::state::KeyValue;
use oncestream_core::task::{Node, Partitioner, Shared};

use super::answerer::Answerer;
use super::codec::{Codec, Inside};
use super::doubts::Doubts;
use super::names::Names;
use super::notifier::Notifier;
use super::receiver::{Receiver, Subscriptions};
use super::resolver::{IsKeyed, Resolver};
use super::response::{Response, ResponseSerde};
use super::result::Results;
use super::sender::{Buffers, Sender};
use super::subscription::{Subscription, SubscriptionSerde};
use crate::dsl::{Data, StoreKey};
use crate::options::{ByKey, Materialized, TableJoined};
use crate::stream::Hop;
use crate::table::{Change, KTable, Made, OnNeed, TableOutput, TableSerdes, TableSpec, View};

/// What all parts of a join need.
struct Join<'a, K, V, KO, VO> {
    left: &'a KTable<K, V>,
    other: &'a KTable<KO, VO>,
    names: &'a Names,
    keys: DynSerde<K>,
    values: DynSerde<V>,
    foreign_keys: DynSerde<KO>,
    foreign_values: DynSerde<VO>,
    subscription_topic: TopicRef,
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Adds the join.
    pub(super) fn join_by_foreign_key<KO, VO, R, F, J>(
        &self,
        options: TableJoined<K, V, KO, VO>,
        is_left: bool,
        foreign_key: F,
        joiner: J,
    ) -> KTable<K, R>
    where
        KO: StoreKey,
        VO: Data,
        R: Data + HasSerde,
        F: Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        J: Fn(&K, &V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
    {
        let TableJoined { other, name, value_serde, other_value_serde, .. } = options;
        let given = name.as_ref().or_else(|| self.next_name.take());
        let names = Names::generate(&self.dsl, given);
        if !self.dsl.is(&other.dsl) {
            self.dsl.fail(TopologyError::ForeignHandle { node: names.result.clone() });
            return self.refused_join();
        }
        let known = self.known_serdes(&names.sender, value_serde);
        let known = known.zip(other.known_serdes(&names.answerer, other_value_serde));
        let Some(((keys, values), (foreign_keys, foreign_values))) = known else {
            return self.refused_join();
        };
        other.ask_old_values(true);
        self.ask_old_values(true);
        let subscription_topic =
            self.dsl.graph(|g| g.add_foreign_key_topic(&names.subscription_topic));
        let join = Join {
            left: self,
            other: &other,
            names: &names,
            keys,
            values,
            foreign_keys,
            foreign_values,
            subscription_topic,
        };
        let extract = Arc::new(foreign_key);
        let subscriptions = join.add_sender(is_left, extract.clone(), options.other_partitioner);
        let [answerer, notifier] = join.add_foreign_side(subscriptions);
        let responses = join.add_response_topic(&[answerer, notifier], options.partitioner);
        join.add_results(responses, joiner, (!is_left).then(|| join.is_keyed(extract)))
    }

    /// What stands for a join that `build` refuses.
    fn refused_join<R: Data>(&self) -> KTable<K, R> {
        let made = Made::WithStore(View::of_store::<K, KeyValue>(""));
        KTable::new(self.dsl.clone(), self.node, TableSpec::new(), made)
    }
}

impl<K: StoreKey, V: Data, KO: StoreKey, VO: Data> Join<'_, K, V, KO, VO> {
    /// What the nodes of the left table's task know each other by.
    fn shared_name(&self) -> Arc<str> {
        self.names.sender.as_str().into()
    }

    /// Whether a row has a foreign key.
    fn is_keyed<F>(&self, extract: Arc<F>) -> IsKeyed<K, V>
    where
        F: Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
    {
        let serde = self.foreign_keys.clone();
        Arc::new(move |key, value| extract(key, value).is_some_and(|key| !serde.is_null(&key)))
    }

    /// Adds the sender below the left table, and gives the source of the subscriptions.
    fn add_sender<F>(
        &self,
        is_left: bool,
        extract: Arc<F>,
        partitioner: Option<ByKey<KO>>,
    ) -> NodeId
    where
        F: Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
    {
        let dsl = &self.left.dsl;
        let (keys, values, foreign_keys) =
            (self.keys.clone(), self.values.clone(), self.foreign_keys.clone());
        let (topic, join) = (self.subscription_topic.clone(), self.shared_name());
        let sender = dsl.graph(|g| {
            g.add_processor(&self.names.sender, &[self.left.node], &[], move |b, id| {
                let sender = Rc::new(RefCell::new(Sender {
                    name: b.node_name(id),
                    is_left,
                    extract: extract.clone(),
                    primary_keys: Codec::new(b, &topic, Inside::PrimaryKey, &keys),
                    foreign_keys: Codec::new(b, &topic, Inside::ForeignKey, &foreign_keys),
                    values: Codec::new(b, &topic, Inside::HashedValue, &values),
                    doubts: b.in_common(&join, |_| Ok(Doubts::default()))?,
                    buffers: Buffers::default(),
                    out: b.downstream(id)?,
                }));
                if !is_left {
                    b.on_flush(id, sender.clone());
                }
                Ok(Box::new(Shared(sender)) as Box<dyn Node<K, Change<V>>>)
            })
        });
        let partitioner = partitioner.map(|choose| {
            let by_key = move |key: &Option<KO>, _: &Subscription, partitions| {
                key.as_ref().and_then(|key| choose(key, partitions))
            };
            Arc::new(by_key) as Partitioner<Option<KO>, Subscription>
        });
        let hop = Hop {
            topic: self.subscription_topic.clone(),
            sink_name: self.names.subscription_sink.clone(),
            source_name: self.names.subscription_source.clone(),
            key_serde: Arc::new(OptionSerde::new(self.foreign_keys.clone())),
            value_serde: Arc::new(SubscriptionSerde),
            partitioner,
        };
        let source = hop.add(dsl, sender);
        dsl.graph(|g| g.copartition(&[self.other.node, source]));
        source
    }

    /// Adds the store of the subscriptions, and the two nodes that answer.
    fn add_foreign_side(&self, subscriptions: NodeId) -> [NodeId; 2] {
        let store: Arc<str> = self.names.store.name.as_str().into();
        let stores = [store.clone()];
        let view = self.other.view();
        self.left.dsl.graph(|g| {
            g.add_store(&store, Some(ChangelogConfig::default()), |init| {
                Subscriptions::new(init, Arc::new(BytesSerde), Arc::new(SubscriptionSerde))
            });
            let (topic, foreign_keys) =
                (self.subscription_topic.clone(), self.foreign_keys.clone());
            let of_node = store.clone();
            let receiver =
                g.add_processor(&self.names.receiver, &[subscriptions], &stores, move |b, id| {
                    Ok(Box::new(Receiver {
                        name: b.node_name(id),
                        foreign_keys: Codec::new(b, &topic, Inside::ForeignKey, &foreign_keys),
                        subscriptions: b.store(id, &of_node)?,
                        out: b.downstream(id)?,
                    }) as Box<dyn Node<Option<KO>, Subscription>>)
                });
            let (topic, keys) = (self.subscription_topic.clone(), self.keys.clone());
            let (foreign_values, of_node) = (self.foreign_values.clone(), view.clone());
            let answerer =
                g.add_processor(&self.names.answerer, &[receiver], view.stores(), move |b, id| {
                    Ok(Box::new(Answerer {
                        name: b.node_name(id),
                        primary_keys: Codec::new(b, &topic, Inside::PrimaryKey, &keys),
                        foreign_values: foreign_values.clone(),
                        foreign_table: of_node.reader(b, id)?,
                        out: b.downstream::<K, Response<VO>>(id)?,
                    }) as Box<dyn Node<Option<KO>, Subscription>>)
                });
            let (topic, keys) = (self.subscription_topic.clone(), self.keys.clone());
            let foreign_keys = self.foreign_keys.clone();
            let notifier =
                g.add_processor(&self.names.notifier, &[self.other.node], &stores, move |b, id| {
                    Ok(Box::new(Notifier {
                        name: b.node_name(id),
                        store: store.clone(),
                        primary_keys: Codec::new(b, &topic, Inside::PrimaryKey, &keys),
                        foreign_keys: Codec::new(b, &topic, Inside::ForeignKey, &foreign_keys),
                        subscriptions: b.store(id, &store)?,
                        out: b.downstream::<K, Response<VO>>(id)?,
                        input: PhantomData,
                    }) as Box<dyn Node<KO, Change<VO>>>)
                });
            [answerer, notifier]
        })
    }

    /// Adds the topic of the responses, and gives its source.
    fn add_response_topic(&self, from: &[NodeId], partitioner: Option<ByKey<K>>) -> NodeId {
        let dsl = &self.left.dsl;
        let topic = dsl.graph(|g| g.add_foreign_key_topic(&self.names.response_topic));
        let partitioner: Partitioner<K, Response<VO>> = match partitioner {
            Some(choose) => Arc::new(move |key, _, partitions| choose(key, partitions)),
            None => Arc::new(|_, response, _| response.primary_partition),
        };
        let hop = Hop {
            topic,
            sink_name: self.names.response_sink.clone(),
            source_name: self.names.response_source.clone(),
            key_serde: self.keys.clone(),
            value_serde: Arc::new(ResponseSerde(self.foreign_values.clone())),
            partitioner: Some(partitioner),
        };
        let source = hop.add_below(dsl, from);
        dsl.graph(|g| g.copartition(&[self.left.node, source]));
        source
    }

    /// Adds the node that joins, and the table of the results.
    fn add_results<R, J>(
        &self,
        responses: NodeId,
        joiner: J,
        is_keyed: Option<IsKeyed<K, V>>,
    ) -> KTable<K, R>
    where
        R: Data + HasSerde,
        J: Fn(&K, &V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
    {
        let dsl = &self.left.dsl;
        let view = self.left.view();
        let of_node = view.clone();
        let (topic, values) = (self.subscription_topic.clone(), self.values.clone());
        let (joiner, join) = (Arc::new(joiner), self.shared_name());
        let spec = TableSpec::new();
        let of_results = spec.clone();
        let node = dsl.graph(|g| {
            let resolver =
                g.add_processor(&self.names.resolver, &[responses], view.stores(), move |b, id| {
                    Ok(Box::new(Resolver {
                        name: b.node_name(id),
                        table: of_node.reader(b, id)?,
                        values: Codec::new(b, &topic, Inside::HashedValue, &values),
                        bytes: Vec::new(),
                        join: joiner.clone(),
                        is_keyed: is_keyed.clone(),
                        doubts: b.in_common(&join, |_| Ok(Doubts::default()))?,
                        out: b.downstream::<K, Option<R>>(id)?,
                        input: PhantomData,
                    }) as Box<dyn Node<K, Response<VO>>>)
                });
            g.add_processor(&self.names.result, &[resolver], &[], move |b, id| {
                let output = TableOutput::instantiate(b, id, &of_results, &R::serde())?;
                Ok(Box::new(Results(output)) as Box<dyn Node<K, Option<R>>>)
            })
        });
        let store = Materialized::serdes(self.keys.clone(), R::serde());
        let serdes = TableSerdes::of(&store);
        let (name, number) = self.names.result_store.clone();
        let until = number + 1;
        let made = Made::FromTopic(OnNeed { store, name, number, until });
        KTable::new(dsl.clone(), node, spec, made).with_serdes(serdes)
    }
}
