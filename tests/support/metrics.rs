//! The metrics of the applications of this process, added up: a snapshot empties the recorder, and
//! tests run side by side.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// A metric with its labels, since the process began.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What a counter has come to.
    pub total: u64,
    /// The most that a gauge was; a snapshot sets it to zero.
    pub most: f64,
    /// It has counted or observed something, or was set.
    pub moved: bool,
}

type Known = BTreeMap<(String, BTreeMap<String, String>), Metric>;

static RECORDER: LazyLock<(Snapshotter, Mutex<Known>)> = LazyLock::new(|| {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap_or_else(|e| panic!("{e}"));
    (snapshotter, Mutex::default())
});

/// Takes in what is told from now on: to be called before an application is made.
pub fn init() {
    LazyLock::force(&RECORDER);
}

/// All metrics that were told so far.
pub fn told() -> Vec<Metric> {
    let (snapshotter, known) = &*RECORDER;
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        let name = key.name().to_owned();
        let labels: BTreeMap<String, String> =
            key.labels().map(|l| (l.key().to_owned(), l.value().to_owned())).collect();
        let (kind, added, most, moved) = match value {
            DebugValue::Counter(n) => ("counter", n, 0.0, n > 0),
            DebugValue::Gauge(value) => ("gauge", 0, value.into_inner(), true),
            DebugValue::Histogram(values) => ("histogram", 0, 0.0, !values.is_empty()),
        };
        let new =
            Metric { name: name.clone(), kind, labels: labels.clone(), total: 0, most, moved };
        let metric = known.entry((name, labels)).or_insert(new);
        metric.total += added;
        metric.most = metric.most.max(most);
        metric.moved |= moved;
    }
    known.values().cloned().collect()
}

/// How many changelog records were restored so far into stores of a name.
pub fn restored(store: &str) -> u64 {
    of_store("oncestream_restored_records_total", store).iter().map(|m| m.total).sum()
}

/// A metric of stores of a name, of each partition.
pub fn of_store(metric: &str, store: &str) -> Vec<Metric> {
    let is_it =
        |m: &Metric| m.name == metric && m.labels.get("store").is_some_and(|name| name == store);
    told().into_iter().filter(is_it).collect()
}
