//! Where and how `print` writes records.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Where [`print`](crate::KStream::print) writes, with which label, and what of a record. All tasks write to
/// the one writer, a line at a time.
///
/// ```
/// use std::fs::File;
/// use oncestream_operators::{Printed, StreamsBuilder};
/// # fn main() -> std::io::Result<()> {
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, i64>("orders");
/// // [orders]: "alice", 7
/// orders.print(Printed::to_stdout().label("orders"));
/// // [large]: alice has 700
/// # let path = std::env::temp_dir().join(format!("oncestream-printed-{}", std::process::id()));
/// let lines = Printed::to_writer(File::create(&path)?).format(|key, n| format!("{key} has {n}"));
/// orders.filter(|_, n| *n > 100).print(lines.label("large"));
/// # std::fs::remove_file(path)
/// # }
/// ```
pub struct Printed<K, V> {
    pub(crate) writer: Arc<Mutex<dyn Write + Send>>,
    pub(crate) label: Option<String>,
    pub(crate) format: Format<K, V>,
}

/// What a line says of a key and a value.
pub(crate) type Format<K, V> = Arc<dyn Fn(&K, &V) -> String + Send + Sync>;

impl<K: fmt::Debug, V: fmt::Debug> Printed<K, V> {
    /// To the standard output.
    pub fn to_stdout() -> Self {
        Self::to_writer(io::stdout())
    }

    /// To a writer, such as a file. It is flushed at each commit.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
            label: None,
            format: Arc::new(|key, value| format!("{key:?}, {value:?}")),
        }
    }
}

impl<K, V> Printed<K, V> {
    /// What stands in brackets before each record; the name of the operator above if it is left out.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What is written of a key and a value, in place of both as `Debug` shows them.
    #[must_use]
    pub fn format(mut self, format: impl Fn(&K, &V) -> String + Send + Sync + 'static) -> Self {
        self.format = Arc::new(format);
        self
    }
}

impl<K, V> Clone for Printed<K, V> {
    fn clone(&self) -> Self {
        let (writer, format) = (self.writer.clone(), self.format.clone());
        Self { writer, label: self.label.clone(), format }
    }
}

impl<K, V> fmt::Debug for Printed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed").field("label", &self.label).finish_non_exhaustive()
    }
}
