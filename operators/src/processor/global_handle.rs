//! A processor's handle on a global table: it reads what is committed of it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::state::{GlobalReader, ValueAndTimestamp};

use super::store_handle::in_use;
use crate::dsl::{Data, StoreKey};

/// A [`GlobalKTable`](crate::GlobalKTable) that a processor reads: give `&table` among the processor's stores.
///
/// It tells what the table has when it is asked, so two calls may tell different things, and a record that is
/// processed again after a crash may find something newer.
///
/// ```
/// use oncestream_core::Record;
/// use oncestream_core::error::BoxError;
/// use oncestream_operators::StreamsBuilder;
/// use oncestream_operators::processor::{GlobalStoreHandle, Processor, ProcessorContext};
///
/// /// The price in another currency, by way of a third one.
/// struct Convert {
///     rates: GlobalStoreHandle<String, i64>,
/// }
///
/// impl Processor for Convert {
///     type KeyIn = String;
///     type ValueIn = i64;
///     type KeyOut = String;
///     type ValueOut = i64;
///
///     fn process(
///         &mut self,
///         ctx: &mut ProcessorContext<'_, Self>,
///         price: Record<String, i64>,
///     ) -> Result<(), BoxError> {
///         let (from, to) = (self.rates.get(&price.key)?, self.rates.get(&"EUR".to_owned())?);
///         if let (Some(from), Some(to)) = (from, to) {
///             let value = price.value * from / to.max(1);
///             ctx.forward(price.with_value(value))?;
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let rates = builder.global_table::<String, i64>("rates");
/// builder.stream::<String, i64>("prices").process(&rates, |rates| Convert { rates }).to("in-euros");
/// # assert!(builder.build().is_ok());
/// ```
pub struct GlobalStoreHandle<K, V> {
    name: Arc<str>,
    reader: RefCell<GlobalReader<K, V>>,
}

impl<K, V> fmt::Debug for GlobalStoreHandle<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalStoreHandle").field("store", &self.name).finish_non_exhaustive()
    }
}

impl<K: StoreKey, V: Data> GlobalStoreHandle<K, V> {
    pub(super) fn new(name: Arc<str>, reader: GlobalReader<K, V>) -> Self {
        Self { name, reader: RefCell::new(reader) }
    }

    /// The value of a key, as of now.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&self, key: &K) -> Result<Option<V>, TaskError> {
        Ok(self.get_with_timestamp(key)?.map(|found| found.value))
    }

    /// The value of a key, as of now, and the time of the record that set it.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, TaskError> {
        self.reader.try_borrow_mut().map_err(|_| in_use(&self.name))?.get(key)
    }
}
