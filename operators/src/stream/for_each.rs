//! `for_each`: the end of a branch, a function.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Node};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;

impl<K: Data, V: Data> KStream<K, V> {
    /// Calls `action` with each record; nothing follows.
    ///
    /// The transaction does not cover what `action` does: after an abort it sees records again.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").for_each(|k, v| println!("{k}: {v}"));
    /// ```
    pub fn for_each<F>(&self, action: F)
    where
        F: Fn(K, V) + Send + Sync + 'static,
    {
        let action = Arc::new(action);
        self.add::<(), (), _>("KSTREAM-FOREACH-", Effect::Nothing, move |_, _| {
            Ok(Box::new(ForEach { action: action.clone() }))
        });
    }
}

struct ForEach<F> {
    action: Arc<F>,
}

impl<K, V, F: Fn(K, V)> Node<K, V> for ForEach<F> {
    fn process(&mut self, _ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        (self.action)(record.key, record.value);
        Ok(())
    }
}
