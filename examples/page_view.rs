//! Page views of each region in windows of seven days, of which one begins each second: what follows
//! the join in Kafka Streams' `PageViewTypedDemo`.
//!
//!     cargo run --release --example page_view
//!     cargo run --release --example page_view -- --bootstrap-servers localhost:9092
//!     cargo run --release --example page_view -- --bootstrap-servers localhost:9092 --input views
//!
//! The original looks the region of a user up in a table of profiles. Streams and tables cannot be
//! joined here yet, so the views bring their region with them:
//! `{"_t":"pv","user":"alice","page":"/index","timestamp":1000,"region":"europe"}`. A view without one
//! is counted for `UNKNOWN`, as that of a user without a profile is there.
//!
//! Without `--input` it feeds a few views, shows the counts and exits. With `--input` it reads that
//! topic until stopped. A view is in each window that holds its time: up to seven days after 1970 these
//! are a few, and today they are 604,800, here as there. So the views that are fed are of 1970.
//!
//! The test at the end compares it with the Java original, byte for byte.

mod support;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use oncestream::prelude::*;
use serde::{Deserialize, Serialize};

use support::kafka::{self, KafkaFlags};
use support::original::{Fed, lines};
use support::show::Demo;

const DATA: &str = include_str!("data/page_view.tsv");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts the page views of regions, exactly once.
#[derive(Parser)]
#[command(name = "page_view")]
struct Flags {
    #[command(flatten)]
    kafka: KafkaFlags,
    /// Read this topic until stopped, and feed nothing.
    #[arg(long, value_name = "TOPIC")]
    input: Option<String>,
    /// Write the counts here. Created if it is missing.
    #[arg(long, value_name = "TOPIC", default_value = "streams-pageviewstats-typed-output")]
    output: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSerde)]
#[serde(tag = "_t", rename = "pv")]
struct PageView {
    user: String,
    page: String,
    timestamp: TimestampMs,
    region: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, JsonSerde)]
#[serde(tag = "_t", rename = "pvbr")]
struct PageViewByRegion {
    user: String,
    page: String,
    region: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSerde)]
#[serde(tag = "_t", rename = "wpvbr", rename_all = "camelCase")]
struct WindowedPageViewByRegion {
    window_start: TimestampMs,
    region: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSerde)]
#[serde(tag = "_t", rename = "rc")]
struct RegionCount {
    count: i64,
    region: String,
}

/// The topology of the original, from the join on.
fn page_view(input: &str, output: &str) -> anyhow::Result<Topology> {
    let views = Consumed::<Option<String>, PageView>::new(input)
        .timestamp_extractor(|view, _| view.value.timestamp);
    let windows = TimeWindows::of_size_and_grace(7 * DAY, DAY).advance_by(Duration::from_secs(1));
    let builder = StreamsBuilder::new();
    builder
        .stream(views)
        .map(|_, PageView { user, page, region, .. }| {
            let region = region.unwrap_or_else(|| "UNKNOWN".to_owned());
            (region.clone(), PageViewByRegion { user, page, region })
        })
        .group_by_key()
        .windowed_by(windows)
        .count("views-by-region")
        .to_stream()
        .map(|Windowed { key: region, start: window_start, .. }, count| {
            let window = WindowedPageViewByRegion { window_start, region: region.clone() };
            (window, RegionCount { count: count.unwrap_or(0), region })
        })
        .to(output);
    Ok(builder.build()?)
}

/// The views that went into the original, each with the region of the profile that came before it.
fn views() -> anyhow::Result<Vec<Fed>> {
    let mut regions: HashMap<Option<&str>, String> = HashMap::new();
    let mut fed = Vec::new();
    for line in lines(DATA, "in")? {
        let mut value: serde_json::Value = serde_json::from_str(line.value)?;
        if line.topic == "streams-userprofile-input" {
            regions.insert(line.key, value["region"].as_str().unwrap_or_default().to_owned());
            continue;
        }
        if let Some(region) = regions.get(&line.key) {
            value["region"] = region.clone().into();
        }
        fed.push(Fed { value: value.to_string(), ..line.fed() });
    }
    Ok(fed)
}

fn text(key: &[u8], value: &[u8]) -> anyhow::Result<String> {
    Ok(format!("{} {}", String::from_utf8(key.to_vec())?, String::from_utf8(value.to_vec())?))
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    kafka::exit_code(run(flags)).await
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let results = lines(DATA, "out")?.len();
    let fed = if flags.input.is_none() { Some((views()?, results)) } else { None };
    let input = flags.input.as_deref().unwrap_or("streams-pageview-input");
    // As in the original each update is shown, and not the last one of a commit.
    let settings = [("processing.guarantee", "exactly_once"), ("statestore.cache.max.bytes", "0")];
    let kafka = flags.kafka.join("streams-pageview-typed", &settings).await?;
    let topology = page_view(input, &flags.output)?;
    Demo { input, output: &flags.output, fed, text }.run(kafka, topology).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_the_java_original_gives() {
        let topology = || page_view("in", "out").unwrap();
        support::original::assert_same(topology, ("in", "out"), &views().unwrap(), DATA);
    }
}
