//! What `build` may change in a topology so that it has fewer topics and stores.

use std::str::FromStr;

use oncestream_core::error::TopologyError;

/// `topology.optimization` of Kafka Streams, for
/// [`StreamsBuilder::optimization`](crate::StreamsBuilder::optimization). The default is none.
///
/// It changes the names of topics and stores, and which there are, but no result: docs/optimization.md has
/// what a running application needs before it is switched on.
///
/// It reads as the setting does: `all`, `none`, or a list of `merge.repartition.topics`,
/// `single.store.self.join` and `reuse.ktable.source.topics`.
///
/// ```
/// use oncestream_operators::Optimization;
/// let both = Optimization::none().merge_repartition_topics().single_store_self_join();
/// assert_eq!(both, "single.store.self.join, merge.repartition.topics".parse()?);
/// assert_eq!(both.reuse_table_source_topics(), Optimization::all());
/// let refused = "merge.everything".parse::<Optimization>().unwrap_err();
/// assert!(refused.to_string().contains("`merge.repartition.topics`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Optimization {
    pub(crate) merges_repartition_topics: bool,
    pub(crate) joins_on_one_store: bool,
    pub(crate) reuses_source_topics: bool,
}

const MERGE: &str = "merge.repartition.topics";
const SELF_JOIN: &str = "single.store.self.join";
const REUSE: &str = "reuse.ktable.source.topics";

impl Optimization {
    /// None: the topology runs as it was written.
    pub fn none() -> Self {
        Self::default()
    }

    /// All that there are.
    pub fn all() -> Self {
        Self::none().merge_repartition_topics().single_store_self_join().reuse_table_source_topics()
    }

    /// Streams whose key was changed by one operator share one repartition topic, which stands right behind
    /// that operator. Without this, there is one for each aggregation, table and join that follows.
    ///
    /// ```
    /// use oncestream_operators::{Optimization, StreamsBuilder};
    /// let merged = Optimization::none().merge_repartition_topics();
    /// let builder = StreamsBuilder::new().optimization(merged);
    /// let by_length = builder.stream::<String, String>("lines").group_by(|_, line| line.len() as i64);
    /// by_length.count("counts");
    /// by_length.reduce(|_, last| last, "last");
    /// let topics = builder.build().unwrap().internal_topics("app");
    /// assert!(topics.contains("app-counts-repartition"));
    /// assert!(!topics.contains("app-last-repartition"));
    /// ```
    #[must_use]
    pub fn merge_repartition_topics(self) -> Self {
        Self { merges_repartition_topics: true, ..self }
    }

    /// A [`join`](crate::KStream::join) of a stream with itself keeps the stream in one store, as
    /// [`self_join`](crate::KStream::self_join) does. Left and outer joins are left as they are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{JoinWindows, Optimization, StreamsBuilder};
    /// let builder = StreamsBuilder::new().optimization(Optimization::none().single_store_self_join());
    /// let readings = builder.stream::<String, i64>("readings");
    /// let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60));
    /// readings.join(&readings, minute, |a, b| a - b).to("differences");
    /// assert_eq!(builder.build().unwrap().store_names().len(), 1);
    /// ```
    #[must_use]
    pub fn single_store_self_join(self) -> Self {
        Self { joins_on_one_store: true, ..self }
    }

    /// The store of a [`table`](crate::StreamsBuilder::table) has no changelog: it is brought back from the
    /// topic that the table reads, by processing its records again up to the committed offset. The topic must
    /// keep the last record of each key; an application does not start if it deletes records by age or size. An
    /// application that is behind when it loses its disk may lack rows: see docs/optimization.md.
    ///
    /// A table keeps its changelog if its store does not follow from the topic alone: if it has versions, if
    /// its rows expire, if a timestamp extractor reads its records, or if processors have its store.
    ///
    /// ```
    /// use oncestream_operators::{Optimization, StreamsBuilder};
    /// let reused = Optimization::none().reuse_table_source_topics();
    /// let builder = StreamsBuilder::new().optimization(reused);
    /// builder.table::<i64, String>("users").materialized("users-store").to_stream().to("out");
    /// assert!(builder.build().unwrap().internal_topics("app").is_empty());
    /// ```
    #[must_use]
    pub fn reuse_table_source_topics(self) -> Self {
        Self { reuses_source_topics: true, ..self }
    }
}

impl FromStr for Optimization {
    type Err = TopologyError;

    /// # Errors
    /// [`TopologyError::UnknownOptimization`], also for `all` and `none` in a list.
    fn from_str(value: &str) -> Result<Self, TopologyError> {
        match value.trim() {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        value.split(',').map(str::trim).try_fold(Self::none(), |found, one| match one {
            MERGE => Ok(found.merge_repartition_topics()),
            SELF_JOIN => Ok(found.single_store_self_join()),
            REUSE => Ok(found.reuse_table_source_topics()),
            other => Err(TopologyError::UnknownOptimization { given: other.to_owned() }),
        })
    }
}
