//! Joins of two tables by their keys. `inner`, `left` and `outer` are the operators; they share the nodes,
//! and what is here.
//!
//! As in Kafka Streams a join is three nodes: one for each side, which reads the other table, and one
//! behind both, which has the store if there is one.
//!
//! Invariant: what two values give is one function of the key and both values, `None` where there is no
//! result. Both sides, and who reads the joined table, call it.

mod inner;
mod left;
mod node;
mod outer;
mod view;

use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;

use self::node::{Last, Rules, merge_factory, side_factory};
use super::{KTable, Made, TableSpec, View};
use crate::dsl::{Data, StoreKey};

pub(super) const PREFIX: &str = "KTABLE-MERGE-";

/// Which table must have a value for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Both,
    Left,
    Any,
}

/// What two values of a key give.
trait Join<K, V, V2, R>: Fn(&K, Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + 'static {}

impl<K, V, V2, R, F> Join<K, V, V2, R> for F where
    F: Fn(&K, Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + 'static
{
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// The nodes that all joins share. Names are made in the order of Kafka Streams.
    fn join_by_key<V2: Data, R: Data>(
        &self,
        other: &KTable<K, V2>,
        needs: Needs,
        join: impl Join<K, V, V2, R>,
    ) -> KTable<K, R> {
        let dsl = &self.dsl;
        let named = self.next_name.take();
        let number = dsl.next_number();
        let name = dsl.name(named, PREFIX);
        if !dsl.is(&other.dsl) {
            dsl.fail(TopologyError::ForeignHandle { node: name.clone() });
        }
        // A deletion of what never was gives no result. Who may be alone must know what it was.
        if needs != Needs::Both {
            self.ask_old_values(true);
        }
        if needs == Needs::Any {
            other.ask_old_values(true);
        }
        let (left, right) = (self.view(), other.view());
        let spec = TableSpec::new();
        let join = Arc::new(join);
        let forgets = left.forgets() || right.forgets();
        let is_fed_by_one =
            || dsl.is_fed_by(other.node, left.stores()) || dsl.is_fed_by(self.node, right.stores());
        let last = match needs {
            Needs::Both if is_fed_by_one() => Last::Always,
            Needs::Both => Last::Untold,
            Needs::Left | Needs::Any => Last::Never,
        };
        let this_name = dsl.suffixed(named, "-join-this", "KTABLE-JOINTHIS-");
        let rules = Rules { needs_other: needs == Needs::Both, last, forgets };
        let of_left = join.clone();
        let this = side_factory(
            &spec,
            right.clone(),
            rules,
            move |key: &K, own: Option<&V>, other: Option<&V2>| of_left(key, own, other),
        );
        let other_name = dsl.suffixed(named, "-join-other", "KTABLE-JOINOTHER-");
        let last = if needs == Needs::Both { Last::Untold } else { Last::Never };
        let rules = Rules { needs_other: needs != Needs::Any, last, forgets };
        let of_right = join.clone();
        let that = side_factory(
            &spec,
            left.clone(),
            rules,
            move |key: &K, own: Option<&V2>, other: Option<&V>| of_right(key, other, own),
        );
        let node = dsl.graph(|g| {
            let sides: [NodeId; 2] = [
                g.add_processor(&this_name, &[self.node], right.stores(), this),
                g.add_processor(&other_name, &[other.node], left.stores(), that),
            ];
            g.copartition(&[self.node, other.node]);
            g.add_processor(&name, &sides, &[], merge_factory::<K, R>(&spec))
        });
        let view = move || view::joined(&left, &right, &join);
        let made = self.joined(other, number, view);
        let table = KTable::new(dsl.clone(), node, spec, made);
        KTable { serdes: self.serdes.of_keys(), ..table }
    }

    /// How the joined table comes by old values, and how it is read.
    fn joined<V2: Data, R>(
        &self,
        other: &KTable<K, V2>,
        number: usize,
        view: impl Fn() -> View<K, R> + 'static,
    ) -> Made<K, R> {
        let (left, right) = (self.clone(), other.clone());
        let ask = Rc::new(move || {
            left.ask_old_values(true);
            right.ask_old_values(true);
        });
        let (left, right) = (self.clone(), other.clone());
        let above = Rc::new(move || {
            left.ask_told_before();
            right.ask_told_before();
        });
        let until = self.dsl.next_number();
        Made::Joined { ask, above, view: Rc::new(view), number, until }
    }
}
