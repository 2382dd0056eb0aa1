//! One instance of an application, whatever binary runs it: the jobs, and what is told of them.
//!
//! It tells what it does as lines of JSON on standard output: `running` with the changelog records
//! restored so far, `commit` when more commits have succeeded, `end` with all counters. It runs
//! until SIGTERM. When its standard input ends, its test is gone, and it exits at once.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use oncestream::prelude::*;
use oncestream::{Data, Topics, Topology};
use oncestream_tests::app::PARTITIONS;
use serde_json::json;

/// How often the state and the counters are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long the windows of `windowed_word_count` are.
const WINDOW: Duration = Duration::from_secs(10);
/// So many keys of `foreign` have the same place, which is what comes before the last two digits.
pub(crate) const KEYS_OF_PLACE: i64 = 16;
/// Each so manieth number of a left key of `foreign` is its row. A response to a row that has changed since is
/// dropped, and each change asks for another one. So rows that change sooner than a response comes, which takes
/// two commits and more on a busy machine, would never have a result.
const LEFT_STEP: i64 = 16;
/// How far apart in time the numbers of `pairs` are.
pub(crate) const PAIR_STEP: Duration = Duration::from_millis(10);
/// Longer than any run: no number comes too late for its pair.
const PAIR_GRACE: Duration = Duration::from_hours(24);

#[derive(Default)]
struct Flags {
    bootstrap_servers: String,
    application_id: String,
    job: String,
    input: String,
    /// A pattern of topics that are inputs too.
    more: Option<String>,
    output: String,
    state_dir: String,
    threads: String,
    set: Vec<(String, String)>,
}

impl Flags {
    fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut flags = Self { threads: "1".into(), ..Self::default() };
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--bootstrap-servers" => flags.bootstrap_servers = value,
                "--application-id" => flags.application_id = value,
                "--job" => flags.job = value,
                "--input" => flags.input = value,
                "--more" => flags.more = Some(value),
                "--output" => flags.output = value,
                "--state-dir" => flags.state_dir = value,
                "--threads" => flags.threads = value,
                "--set" => {
                    let (key, value) =
                        value.split_once('=').with_context(|| format!("--set {value}"))?;
                    flags.set.push((key.to_owned(), value.to_owned()));
                }
                other => bail!("unknown flag {other}"),
            }
        }
        Ok(flags)
    }

    /// What is read: the input, and the topics of the pattern.
    fn records<K: Data + HasSerde, V: Data + HasSerde>(
        &self,
        builder: &StreamsBuilder,
    ) -> KStream<K, V> {
        let input = builder.stream(&self.input);
        match &self.more {
            Some(pattern) => input.merge(&builder.stream(Topics::pattern(pattern))),
            None => input,
        }
    }

    fn topology(&self) -> anyhow::Result<Topology> {
        let builder = StreamsBuilder::new();
        match self.job.as_str() {
            "word_count" => {
                let words =
                    self.records::<Option<Vec<u8>>, String>(&builder).flat_map_values(|line| {
                        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
                    });
                by_word(&words, self.more.is_some()).count("counts").to_stream().to(&self.output);
            }
            "windowed_word_count" => {
                let words =
                    self.records::<Option<Vec<u8>>, String>(&builder).flat_map_values(|line| {
                        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
                    });
                let by_word = by_word(&words, self.more.is_some());
                by_word.count("counts").to_stream().to(&self.output);
                let windows = TimeWindows::of_size_and_grace(WINDOW, Duration::from_secs(3600));
                let counts = by_word.windowed_by(windows).count("windows").to_stream();
                let shown = |word: Windowed<String>, n| (format!("{}@{}", word.key, word.start), n);
                counts.map(shown).to(&self.output);
            }
            "pass_through" => self
                .records::<Option<Vec<u8>>, Vec<u8>>(&builder)
                .map_values(|value| value.clone())
                .to(&self.output),
            "count" => self
                .records::<String, i64>(&builder)
                .group_by_key()
                .count("counts")
                .to_stream()
                .to(&self.output),
            "smoke" => smoke(&self.records(&builder), &self.output),
            "pairs" => pairs(&self.records(&builder), &self.output),
            "foreign" => foreign(&self.records(&builder), &self.output),
            other => bail!("unknown job {other}"),
        }
        Ok(builder.build()?)
    }

    fn config(&self) -> anyhow::Result<StreamsConfig> {
        let mut config = StreamsConfig::builder(&self.application_id, &self.bootstrap_servers)
            .state_dir(&self.state_dir)
            .set("num.stream.threads", &self.threads)?;
        for (key, value) in &self.set {
            config = config.set(key, value)?;
        }
        Ok(config.build()?)
    }
}

/// Groups words by themselves. Inputs that may grow need a repartition topic that does not grow
/// with them: its count is given, and is that of the input at first.
fn by_word(
    words: &KStream<Option<Vec<u8>>, String>,
    inputs_grow: bool,
) -> KGroupedStream<String, String> {
    if !inputs_grow {
        return words.group_by(|_, word| word.clone());
    }
    let repartitioned = Repartitioned::named("counts").partitions(PARTITIONS);
    words.select_key(|_, word| word.clone()).repartition(repartitioned).group_by_key()
}

/// Least, greatest and sum of the numbers of each key, as in Kafka Streams' smoke test. The keys of
/// the output begin with `min-`, `max-` and `sum-`.
fn smoke(numbers: &KStream<String, i64>, output: &str) {
    let numbers = numbers.group_by_key();
    let tables = [
        ("min", numbers.reduce(i64::min, "min")),
        ("max", numbers.reduce(i64::max, "max")),
        ("sum", numbers.aggregate(|| 0_i64, |_, n, sum| sum + n, "sum")),
    ];
    for (name, table) in tables {
        table.to_stream().select_key(move |key, _| format!("{name}-{key}")).to(output);
    }
}

/// Each number of a key with the next one. The even numbers are one stream, the odd ones another, which
/// comes through a repartition topic. A value is a number and when it was written; a record's time goes on by
/// [`PAIR_STEP`] with each number of its key. A result has the number of its pair, which is the lesser one,
/// and the time of the clock at which the later one was written.
fn pairs(numbers: &KStream<String, String>, output: &str) {
    let is_even = |value: &str| number_and_time_ms(value).0 % 2 == 0;
    let even = numbers.filter(move |_, value| is_even(value));
    let odd = numbers.filter(move |_, value| !is_even(value)).repartition("odd");
    let windows = JoinWindows::of_time_difference_and_grace(PAIR_STEP, PAIR_GRACE);
    let pair = |even: &String, odd: &String| {
        let (even, odd) = (number_and_time_ms(even), number_and_time_ms(odd));
        (even.0.min(odd.0), even.1.max(odd.1))
    };
    even.join(&odd, StreamJoined::new(windows).store_name("pairs"), pair)
        .process_values((), |()| Numbered)
        .to(output);
}

/// The number in a value of `pairs`, and when it was written. What is none of both is -1.
pub(crate) fn number_and_time_ms(value: &str) -> (i64, i64) {
    let (number, time_ms) = value.split_once(' ').unwrap_or_default();
    (number.parse().unwrap_or(-1), time_ms.parse().unwrap_or(-1))
}

/// Gives each number the time that comes with it.
struct Numbered;

impl FixedKeyProcessor for Numbered {
    type Key = String;
    type ValueIn = (i64, i64);
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        mut record: FixedKeyRecord<String, (i64, i64)>,
    ) -> Result<(), BoxError> {
        let (number, time_ms) = record.value;
        record.timestamp = time_ms;
        Ok(ctx.forward(record.with_value(number.to_string()))?)
    }
}

/// The rows of the even keys, each with the row of the odd key that it names.
fn foreign(numbers: &KStream<String, String>, output: &str) {
    let rows = numbers.filter(|key, number| is_row(key, number));
    let even = rows.filter(|key, _| is_even_key(key)).to_table::<String>().materialized("even");
    let odd = rows.filter(|key, _| !is_even_key(key)).to_table::<String>().materialized("odd");
    let joined = TableJoined::with(&odd).name("foreign");
    even.foreign_key_join_with_key(
        joined,
        |key, number| Some(foreign_key(key, number)),
        |_, number, other| format!("{number}:{other}"),
    )
    .to_stream()
    .to(output);
}

/// Whether a key of `foreign` is one of the left table.
pub(crate) fn is_even_key(key: &str) -> bool {
    key.ends_with(['0', '2', '4', '6', '8'])
}

/// Whether a number of `foreign` is a row of its table.
pub(crate) fn is_row(key: &str, number: &str) -> bool {
    !is_even_key(key) || number.parse::<i64>().is_ok_and(|number| number % LEFT_STEP == 0)
}

/// The odd key that the row of an even key names: one of the same place, and with each row another.
pub(crate) fn foreign_key(key: &str, number: &str) -> String {
    let place = key.get(..key.len().saturating_sub(2)).unwrap_or_default();
    let row = number.parse::<i64>().unwrap_or(0) / LEFT_STEP;
    format!("{place}{:02}", (row * 2 + 1) % KEYS_OF_PLACE)
}

/// All counters since the start. A snapshot takes the counters down to zero, so they are summed.
struct Counters {
    snapshotter: Snapshotter,
    totals: BTreeMap<String, u64>,
    restored: BTreeMap<String, u64>,
}

impl Counters {
    fn take(&mut self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let DebugValue::Counter(count) = value else { continue };
            let name = key.key().name();
            *self.totals.entry(name.to_owned()).or_default() += count;
            if name == "oncestream_restored_records_total" {
                let label = |wanted: &str| {
                    key.key().labels().find(|l| l.key() == wanted).map_or("", |l| l.value())
                };
                let store = format!("{}-{}", label("store"), label("partition"));
                *self.restored.entry(store).or_default() += count;
            }
        }
    }

    fn commits(&self) -> u64 {
        self.totals.get("oncestream_commits_total").copied().unwrap_or(0)
    }
}

fn time_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// Tells what changed, until the application ends.
async fn watch(streams: &Streams, counters: &mut Counters) {
    let (mut state, mut commits) = (ClientState::Created, 0);
    let mut ticks = tokio::time::interval(TICK);
    let mut changes = streams.state_changes();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = changes.changed() => {}
        }
        let now = streams.state();
        counters.take();
        if now != state && now == ClientState::Running {
            let restored = &counters.restored;
            println!("{}", json!({"event": "running", "time_ms": time_ms(), "restored": restored}));
        }
        if counters.commits() > commits {
            commits = counters.commits();
            println!("{}", json!({"event": "commit", "time_ms": time_ms(), "commits": commits}));
        }
        state = now;
        if now.is_final() || now == ClientState::PendingError {
            return;
        }
    }
}

/// Runs an instance to its end: SIGTERM, or an error.
///
/// # Errors
///
/// What the flags, the configuration or the application end with.
#[tokio::main]
pub(crate) async fn run(args: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "info,oncestream=debug".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    log.with_writer(std::io::stderr).init();
    std::thread::spawn(|| {
        let mut input = std::io::stdin();
        while matches!(input.read(&mut [0; 64]), Ok(1..)) {}
        std::process::exit(3);
    });
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().map_err(|e| anyhow::anyhow!("installing the recorder: {e}"))?;
    let mut counters = Counters { snapshotter, totals: BTreeMap::new(), restored: BTreeMap::new() };

    let flags = Flags::parse(args)?;
    let streams = Streams::builder(flags.topology()?, flags.config()?).start().await?;
    tokio::select! {
        () = shutdown_signal() => {}
        () = watch(&streams, &mut counters) => {}
    }
    let ended = streams.shutdown().await;
    counters.take();
    let Counters { totals, restored, .. } = &counters;
    let end = json!({
        "event": "end", "time_ms": time_ms(), "counters": totals, "restored": restored,
    });
    println!("{end}");
    Ok(ended?)
}
