//! What the demo does around the topology: feed a text, watch the counts, print the top.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use oncestream::prelude::*;
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::kafka::{client, read_committed};

/// Sir Isaac Newton, Opticks, fourth edition, 1730. In the public domain.
const TEXT: &str = include_str!("../data/opticks.txt");
/// How long the counting may stand still before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The latest count of each word, read committed from the output topic.
struct Counts {
    consumer: BaseConsumer,
    latest: HashMap<String, i64>,
    total: i64,
}

impl Counts {
    fn open(servers: &str, topic: &str) -> anyhow::Result<Self> {
        let consumer = read_committed(servers, topic, true)?;
        Ok(Self { consumer, latest: HashMap::new(), total: 0 })
    }

    /// Takes in what is there, for at most `time`. True if there was anything.
    fn read(&mut self, time: Duration) -> anyhow::Result<bool> {
        let until = Instant::now() + time;
        let mut any = false;
        while let Some(message) =
            self.consumer.poll(until.saturating_duration_since(Instant::now()))
        {
            let message = message?;
            let (Some(Ok(word)), Some(bytes)) = (message.key_view::<str>(), message.payload())
            else {
                continue;
            };
            let count = i64::from_be_bytes(bytes.try_into().context("a count has 8 bytes")?);
            let before = self.latest.insert(word.to_owned(), count).unwrap_or(0);
            self.total += count - before;
            any = true;
        }
        Ok(any)
    }
}

fn feed(servers: &str, topic: &str) -> anyhow::Result<()> {
    let producer: ThreadedProducer<_> =
        client(servers).set("enable.idempotence", "true").create()?;
    for line in TEXT.lines() {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).payload(line);
        producer.send(record).map_err(|(e, _)| e)?;
    }
    producer.flush(Duration::from_secs(30)).context("feeding the text")
}

/// Feeds the text, shows the progress, prints the most frequent words, stops the application.
pub(crate) async fn run(
    servers: &str,
    streams: StreamsClientBuilder,
    input: &str,
    output: &str,
) -> anyhow::Result<()> {
    let (servers, input, output) = (servers.to_owned(), input.to_owned(), output.to_owned());
    let mut counts = Counts::open(&servers, &output)?;
    // A cluster that has seen this before goes on from its counts.
    while counts.read(Duration::from_millis(500))? {}
    let words: i64 = TEXT.lines().map(|l| l.split_whitespace().count() as i64).sum();
    let goal = counts.total + words;

    let streams = streams.start().await?;
    let watched = streams.clone();
    let lines = TEXT.lines().count();
    println!("Feeding {lines} lines, {words} words, of Newton's Opticks to topic {input}.");
    let watch = tokio::task::spawn_blocking(move || -> anyhow::Result<Counts> {
        feed(&servers, &input)?;
        let started = Instant::now();
        let mut moved = Instant::now();
        while counts.total < goal {
            if counts.read(Duration::from_millis(200))? {
                moved = Instant::now();
            }
            let done = words - (goal - counts.total);
            print!("\r{:>8} of {words} words counted, {}   ", done, watched.state());
            std::io::stdout().flush()?;
            let state = watched.state();
            if state == ClientState::PendingError || state.is_final() {
                break;
            }
            if moved.elapsed() > PATIENCE {
                bail!("no progress for {PATIENCE:?}");
            }
        }
        println!("\r{words} words counted in {:.1?}.{:30}", started.elapsed(), "");
        Ok(counts)
    });
    let counted = tokio::select! {
        counted = watch => counted?,
        () = shutdown_signal() => {
            streams.shutdown().await?;
            println!();
            return Ok(());
        }
    };
    streams.shutdown().await?;
    print_top(&counted?);
    Ok(())
}

fn print_top(counts: &Counts) {
    let mut words: Vec<_> = counts.latest.iter().collect();
    words.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    println!("\n{:>8}  word", "count");
    for (word, count) in words.iter().take(10) {
        println!("{count:>8}  {word}");
    }
}
