//! `Debug` of the engine's types that hold functions, trait objects, or all of a store: what they are, and
//! which one, where they have a name.
//!
//! Knows their names alone. Invariant: nothing here shows a record.

use std::fmt;

use crate::graph::{GraphBuilder, NodeDef, StoreDef};
use crate::state::{Kind, RangeIter, Store, StoreInit, StoreInstance};
use crate::task::{
    Context, Destination, Downstream, NodeHandle, Shared, Sink, SourceConfig, SourceInstance, Task,
    TaskBuilder,
};

macro_rules! named {
    ($([$($generics:tt)*] $type:ty, $shown:literal;)*) => {
        $(impl<$($generics)*> fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($shown).finish_non_exhaustive()
            }
        })*
    };
}

named! {
    [] GraphBuilder, "GraphBuilder";
    [K, V, Kd: Kind<K>] Store<K, V, Kd>, "Store";
    [K, V, Kd: Kind<K>] RangeIter<'_, K, V, Kd>, "RangeIter";
    [K, V] Destination<K, V>, "Destination";
    [K, V] Downstream<K, V>, "Downstream";
    [N: ?Sized] Shared<N>, "Shared";
    [K, V] Sink<K, V>, "Sink";
    [K, V] SourceConfig<K, V>, "SourceConfig";
    [] SourceInstance, "SourceInstance";
    [] NodeHandle, "NodeHandle";
}

impl fmt::Debug for NodeDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, parents, children, stores, factory: _ } = self;
        f.debug_struct("NodeDef")
            .field("name", name)
            .field("kind", kind)
            .field("parents", parents)
            .field("children", children)
            .field("stores", stores)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, changelog, table, is_global, factory: _ } = self;
        f.debug_struct("StoreDef")
            .field("name", name)
            .field("changelog", changelog)
            .field("table", table)
            .field("is_global", is_global)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreInit").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A node may have it in use.
        let name = self.store.try_borrow().map(|store| store.name().clone()).ok();
        f.debug_struct("StoreInstance").field("name", &name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, activity) = (self.id(), self.activity());
        f.debug_struct("Task").field("id", &id).field("activity", &activity).finish_non_exhaustive()
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("task", &self.task_id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("task", &self.task_id())
            .field("record", &self.record_metadata())
            .finish_non_exhaustive()
    }
}
