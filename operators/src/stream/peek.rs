//! `peek`: look at each record and pass it on.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Calls `action` with each record and passes the record on.
    ///
    /// The transaction does not cover what `action` does: after an abort it sees records again.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").peek(|k, v| println!("{k}: {v}")).to("out");
    /// ```
    pub fn peek<F>(&self, action: F) -> KStream<K, V>
    where
        F: Fn(&K, &V) + Send + Sync + 'static,
    {
        let action = Arc::new(action);
        self.add("KSTREAM-PEEK-", Effect::Nothing, move |b, id| {
            let out = b.downstream(id)?;
            Ok(Box::new(Peek { action: action.clone(), out }))
        })
    }
}

struct Peek<K, V, F> {
    action: Arc<F>,
    out: Downstream<K, V>,
}

impl<K: Data, V: Data, F: Fn(&K, &V)> Node<K, V> for Peek<K, V, F> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        (self.action)(&record.key, &record.value);
        self.out.forward(ctx, record)
    }
}
