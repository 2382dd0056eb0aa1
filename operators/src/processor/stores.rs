//! The stores that a processor is connected to, as an argument: none, one, or a tuple.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;
use oncestream_core::state::{Kind, Store};
use oncestream_core::task::TaskBuilder;

use super::{GlobalStoreHandle, StoreHandle, StoreRef};
use crate::dsl::{BuilderIdentity, Data, Dsl, StoreKey};
use crate::global_table::GlobalKTable;

/// Stores for a processor: `()` for none, `&store` for one, a tuple of up to six for more. What the
/// supplier of the processor gets has the same form, with a handle for each store. A global table may be
/// among them: it is [read](GlobalStoreHandle), and brings no partitions along.
///
/// ```
/// use oncestream_core::Record;
/// use oncestream_core::error::BoxError;
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
///
/// struct Both {
///     counts: StoreHandle<String, i64>,
///     names: StoreHandle<i64, String>,
/// }
///
/// impl Processor for Both {
///     type KeyIn = String;
///     type ValueIn = i64;
///     type KeyOut = ();
///     type ValueOut = ();
///     fn process(
///         &mut self,
///         _ctx: &mut ProcessorContext<'_, Self>,
///         record: Record<String, i64>,
///     ) -> Result<(), BoxError> {
///         self.names.put(record.value, record.key.clone())?;
///         self.counts.update(&record.key, |count| count.unwrap_or(0) + 1)?;
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let (counts, names) = (builder.add_state_store("counts"), builder.add_state_store("names"));
/// builder
///     .stream::<String, i64>("in")
///     .process((&counts, &names), |(counts, names)| Both { counts, names });
/// # assert!(builder.build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name the stores of a processor",
    label = "give `()`, `&store`, or a tuple such as `(&counts, &names)`"
)]
pub trait Stores: sealed::Stores {
    /// What the supplier of the processor gets: a handle on each.
    type Handles: 'static;

    /// Opens them for one task.
    #[doc(hidden)]
    fn opener(&self) -> Opener<Self::Handles>;
}

/// Makes the handles of one task. Their writes have the time in the cell.
pub(crate) type Opener<H> =
    Box<dyn Fn(&TaskBuilder<'_>, NodeId, &Now) -> Result<H, TopologyError> + Send + Sync>;

/// The time that store handles write with.
pub(crate) type Now = Rc<Cell<TimestampMs>>;

mod sealed {
    use super::{Arc, BuilderIdentity};

    pub trait Stores {
        /// Adds the names; false for a store of another builder.
        fn names(&self, of: &BuilderIdentity, names: &mut Vec<Arc<str>>) -> bool;
    }
}

/// The names for the graph; a store that is named twice counts once.
pub(crate) fn connect<S: Stores>(stores: &S, dsl: &Dsl, node: &str) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    if !stores.names(&dsl.identity(), &mut names) {
        dsl.fail(TopologyError::ForeignHandle { node: node.to_owned() });
    }
    let mut once: Vec<Arc<str>> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

impl sealed::Stores for () {
    fn names(&self, _of: &BuilderIdentity, _names: &mut Vec<Arc<str>>) -> bool {
        true
    }
}

impl Stores for () {
    type Handles = ();

    fn opener(&self) -> Opener<()> {
        Box::new(|_, _, _| Ok(()))
    }
}

impl<K, V, Kd> sealed::Stores for &StoreRef<K, V, Kd> {
    fn names(&self, of: &BuilderIdentity, names: &mut Vec<Arc<str>>) -> bool {
        names.push(self.shared_name());
        self.is_of(of)
    }
}

impl<K: StoreKey, V: Data, Kd: Kind<K, Key: StoreKey>> Stores for &StoreRef<K, V, Kd> {
    type Handles = StoreHandle<K, V, Kd>;

    fn opener(&self) -> Opener<Self::Handles> {
        let name = self.shared_name();
        Box::new(move |b, id, now| {
            let store = b.store::<Store<K, V, Kd>>(id, &name)?;
            Ok(StoreHandle::new(name.clone(), store, now.clone()))
        })
    }
}

impl<K, V> sealed::Stores for &GlobalKTable<K, V> {
    /// None: the graph connects no node to a store that another thread writes.
    fn names(&self, of: &BuilderIdentity, _names: &mut Vec<Arc<str>>) -> bool {
        Arc::ptr_eq(&self.dsl.identity(), of)
    }
}

impl<K: StoreKey, V: Data> Stores for &GlobalKTable<K, V> {
    type Handles = GlobalStoreHandle<K, V>;

    fn opener(&self) -> Opener<Self::Handles> {
        let (source, serdes) = (self.source, self.serdes.clone());
        Box::new(move |b, _, _| {
            let (key_serde, value_serde) = serdes.get().clone();
            let reader = b.global_table(source, key_serde, value_serde)?;
            Ok(GlobalStoreHandle::new(reader.store().clone(), reader))
        })
    }
}

macro_rules! tuples {
    ($($store:ident $at:tt),+) => {
        impl<$($store: Stores),+> sealed::Stores for ($($store,)+) {
            fn names(&self, of: &BuilderIdentity, names: &mut Vec<Arc<str>>) -> bool {
                // Not `&&`: all names are wanted.
                [$(self.$at.names(of, names)),+].iter().all(|own| *own)
            }
        }

        impl<$($store: Stores),+> Stores for ($($store,)+) {
            type Handles = ($($store::Handles,)+);

            fn opener(&self) -> Opener<Self::Handles> {
                let openers = ($(self.$at.opener(),)+);
                Box::new(move |b, id, now| Ok(($((openers.$at)(b, id, now)?,)+)))
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
