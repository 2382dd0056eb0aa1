//! `print`: the end of a branch, a line for each record.

use std::any::type_name;
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, FailedAt, Flush, Flushed, Node, Shared};

use super::KStream;
use crate::dsl::Data;
use crate::optimization::Effect;
use crate::options::{Format, Printed};

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes a line for each record, to see what a topology does; nothing follows. [`Printed`] says where
    /// to, and has an example.
    ///
    /// The transaction does not cover what is written: after an abort records are written again. If a line
    /// cannot be written, `processing.exception.handler` is asked.
    ///
    /// ```
    /// use oncestream_operators::{Printed, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").print(Printed::to_stdout().label("in"));
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn print(&self, printed: Printed<K, V>) {
        let Printed { writer, label, format } = printed;
        let label: Arc<str> = label.unwrap_or_else(|| self.dsl.node_name(self.node)).into();
        self.add::<(), (), _>("KSTREAM-PRINTER-", Effect::Nothing, move |b, id| {
            let (writer, label, format) = (writer.clone(), label.clone(), format.clone());
            let node =
                Rc::new(RefCell::new(Print { name: b.node_name(id), writer, label, format }));
            b.on_flush(id, node.clone());
            Ok(Box::new(Shared(node)))
        });
    }
}

struct Print<K, V> {
    name: Arc<str>,
    writer: Arc<Mutex<dyn Write + Send>>,
    label: Arc<str>,
    format: Format<K, V>,
}

impl<K, V> Node<K, V> for Print<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let line = format!("[{}]: {}\n", self.label, (self.format)(&record.key, &record.value));
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writer.write_all(line.as_bytes());
        drop(writer);
        written.or_else(|error| {
            let Record { timestamp, headers, .. } = record;
            let at = FailedAt { node: &self.name, timestamp, headers: &headers };
            ctx.processing_failed(at, type_name::<io::Error>(), error.into())
        })
    }
}

impl<K, V> Flush for Print<K, V> {
    fn flush(&mut self, _ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // What a flush could not write is met by the next line, whose record the handler is asked about.
        let _ = writer.flush();
        Ok(Flushed::Done)
    }
}
