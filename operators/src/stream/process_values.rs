//! `process_values`: an operator of the user's own that cannot change the key.

use std::any::type_name;

use super::KStream;
use super::process::Kind;
use crate::dsl::Data;
use crate::optimization::Effect;
use crate::processor::{FixedKey, FixedKeyProcessor, Stores};

impl<K: Data, V: Data> KStream<K, V> {
    /// Hands each record to a [`FixedKeyProcessor`] that uses these stores, as [`Self::process`] does
    /// to a processor. The key stays, and with it the partition.
    ///
    /// ```
    /// use oncestream_core::error::BoxError;
    /// use oncestream_operators::StreamsBuilder;
    /// use oncestream_operators::processor::{
    ///     FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord,
    /// };
    ///
    /// /// Adds to each value how many came before it in this task.
    /// struct Number(i64);
    ///
    /// impl FixedKeyProcessor for Number {
    ///     type Key = String;
    ///     type ValueIn = i64;
    ///     type ValueOut = (i64, i64);
    ///
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut FixedKeyProcessorContext<'_, Self>,
    ///         record: FixedKeyRecord<String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         self.0 += 1;
    ///         let value = (self.0, record.value);
    ///         Ok(ctx.forward(record.with_value(value))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").process_values((), |()| Number(0)).to("out");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn process_values<P, S, F>(&self, stores: S, supplier: F) -> KStream<K, P::ValueOut>
    where
        P: FixedKeyProcessor<Key = K, ValueIn = V>,
        S: Stores,
        F: Fn(S::Handles) -> P + Send + Sync + 'static,
    {
        let supplier = move |handles| FixedKey(supplier(handles));
        let kind = Kind { prefix: "KSTREAM-PROCESSVALUES-", effect: Effect::Values };
        self.processor(kind, type_name::<P>(), stores, supplier)
    }
}
