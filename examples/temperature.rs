//! The highest temperature of each five seconds, where it is above 20 degrees: Kafka Streams'
//! `TemperatureDemo`.
//!
//!     cargo run --release --example temperature
//!     cargo run --release --example temperature -- --bootstrap-servers localhost:9092
//!     cargo run --release --example temperature -- --bootstrap-servers localhost:9092 --input iot-temperature
//!
//! Without `--input` it feeds a few readings, shows the results and exits. With `--input` it reads
//! that topic until stopped: values are degrees as text, and keys do not matter. The readings that are
//! fed end with a jump of a day, so on a Kafka that has seen them before most of them are late.
//!
//! The test at the end compares it with the Java original, byte for byte.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use oncestream::prelude::*;

use support::kafka::{self, KafkaFlags};
use support::original::{Fed, Line, lines};
use support::show::Demo;

const DATA: &str = include_str!("data/temperature.tsv");
/// The input of the original.
const INPUT: &str = "iot-temperature";
const WINDOW: Duration = Duration::from_secs(5);
const THRESHOLD: i32 = 20;

/// Shows high temperatures, window by window, exactly once.
#[derive(Parser)]
#[command(name = "temperature")]
struct Flags {
    #[command(flatten)]
    kafka: KafkaFlags,
    /// Read this topic until stopped, and feed nothing.
    #[arg(long, value_name = "TOPIC")]
    input: Option<String>,
    /// Write the temperatures here. Created if it is missing.
    #[arg(long, value_name = "TOPIC", default_value = "iot-temperature-max")]
    output: String,
}

fn degrees(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// The topology of the original. What is no number stops the application there and here.
fn temperature(input: &str, output: &str) -> anyhow::Result<Topology> {
    let windows = TimeWindows::of_size_and_grace(WINDOW, Duration::from_secs(24 * 60 * 60));
    let windowed = Windowed::time_serde(String::serde(), WINDOW);
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<Vec<u8>>, String>(input)
        .try_filter(|_, value| value.parse::<i32>().map(|_| true))
        // Readings come without a key, and to be reduced they need one.
        .select_key(|_, _| "temp".to_owned())
        .group_by_key()
        .windowed_by(windows)
        .reduce(|one, two| if degrees(&one) > degrees(&two) { one } else { two }, "maxima")
        .to_stream()
        .filter(|_, max| max.as_deref().and_then(degrees) > Some(THRESHOLD))
        .to(Produced::with(output, windowed, Option::<String>::serde()));
    Ok(builder.build()?)
}

/// The inputs of the original.
fn readings() -> anyhow::Result<Vec<Fed>> {
    let all = lines(DATA, "in")?;
    let readings = all.iter().filter(|line| line.topic == INPUT);
    Ok(readings.map(Line::fed).collect())
}

fn text(key: &[u8], value: &[u8]) -> anyhow::Result<String> {
    let window = Windowed::time_serde(String::serde(), WINDOW).deserialize(key)?;
    Ok(format!("{window} {}", String::from_utf8_lossy(value)))
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    kafka::exit_code(run(flags)).await
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let results = lines(DATA, "out")?.len();
    let fed = if flags.input.is_none() { Some((readings()?, results)) } else { None };
    let input = flags.input.as_deref().unwrap_or(INPUT);
    // As in the original each update is shown, and not the last one of a commit.
    let settings = [("processing.guarantee", "exactly_once"), ("statestore.cache.max.bytes", "0")];
    let kafka = flags.kafka.join("streams-temperature", &settings).await?;
    let topology = temperature(input, &flags.output)?;
    Demo { input, output: &flags.output, fed, text }.run(kafka, topology).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_the_java_original_gives() {
        let topology = || temperature("in", "out").unwrap();
        support::original::assert_same(topology, ("in", "out"), &readings().unwrap(), DATA);
    }

    #[test]
    fn each_result_has_a_text() {
        let key = [&b"temp"[..], &5_000_i64.to_be_bytes()].concat();
        assert_eq!(text(&key, b"25").unwrap(), "[temp@5000/10000] 25");
    }
}
