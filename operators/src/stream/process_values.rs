//! `process_values`: an operator of the user's own that cannot change the key.

use super::KStream;
use crate::dsl::Data;
use crate::processor::{FixedKey, FixedKeyProcessor};

impl<K: Data, V: Data> KStream<K, V> {
    /// Hands each record to a [`FixedKeyProcessor`], connected to the stores named. `supplier`
    /// makes a fresh one for each task. The key stays, and with it the partition.
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
    /// impl FixedKeyProcessor<String, i64, (i64, i64)> for Number {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut FixedKeyProcessorContext<'_, String, (i64, i64)>,
    ///         record: FixedKeyRecord<String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         self.0 += 1;
    ///         let value = (self.0, record.value);
    ///         Ok(ctx.forward(record.with_value(value))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").process_values(|| Number(0), &[]).to("out");
    /// ```
    pub fn process_values<V2: Data, P, S>(&self, supplier: S, stores: &[&str]) -> KStream<K, V2>
    where
        P: FixedKeyProcessor<K, V, V2> + 'static,
        S: Fn() -> P + Send + Sync + 'static,
    {
        self.processor("KSTREAM-PROCESSVALUES-", false, move || FixedKey(supplier()), stores)
    }
}
