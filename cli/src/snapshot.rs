//! `oncestream snapshot`: flags for `oncestream_inspect::snapshot`, which does the work.

use std::path::PathBuf;

use clap::Args;
use oncestream_inspect::snapshot::ProducerSnapshot;

use crate::print::{print, print_json};

/// Shows a producer snapshot of Apache Kafka, field by field
///
/// Such a file, 00000000000000000042.snapshot for instance, is in the directory of a partition. A broker
/// writes one when a segment is full and when the broker stops. The file holds what the partition knew of
/// its producers before the offset in its name. With it the broker recognises batches that it has seen, and
/// transactions that are open, without reading the whole log. The command only reads the file; it asks no
/// broker.
///
/// Apache Kafka writes -1 where there is nothing. A file that is damaged, or is no such snapshot, is an error.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Flags {
    /// The file.
    file: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let snapshot = ProducerSnapshot::read(&flags.file)?;
    if flags.json {
        return print_json(&snapshot);
    }
    if let Some(offset) = ProducerSnapshot::offset_in_name(&flags.file) {
        print(&format!("producers of a partition before offset {offset}\n"))?;
    }
    print(&snapshot.to_string())
}
