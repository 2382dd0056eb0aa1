//! The command line of `chaos`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use oncestream_tests::app::Guarantee;

/// What is asked for.
pub(crate) struct Options {
    /// The run ends after so long.
    minutes: Option<f64>,
    /// The run ends after so many faults.
    pub(crate) faults: Option<usize>,
    pub(crate) seed: u64,
    /// 1 or 3.
    pub(crate) nodes: usize,
    pub(crate) guarantee: Guarantee,
    /// Whether input topics grow and appear.
    pub(crate) topics_change: bool,
    /// What the runtime shall do wrong.
    pub(crate) sabotage: Option<String>,
    /// Records fed a second, in total.
    pub(crate) rate: usize,
    /// Where the reports go, without their extensions.
    pub(crate) report: PathBuf,
}

fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    flag: &str,
    value: &str,
) -> anyhow::Result<T> {
    value.parse().with_context(|| format!("{flag} {value}"))
}

impl Options {
    /// Reads the flags.
    ///
    /// # Errors
    ///
    /// When one is unknown, has no good value, or when nothing says when the run ends.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            minutes: None,
            faults: None,
            seed: rand::random_range(0..1_000_000),
            nodes: 1,
            guarantee: Guarantee::ExactlyOnce,
            topics_change: true,
            sabotage: None,
            rate: 2000,
            report: PathBuf::new(),
        };
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--minutes" => options.minutes = Some(parsed(&flag, &value)?),
                "--faults" => options.faults = Some(parsed(&flag, &value)?),
                "--seed" => options.seed = parsed(&flag, &value)?,
                "--nodes" => options.nodes = parsed(&flag, &value)?,
                "--rate" => options.rate = parsed(&flag, &value)?,
                "--guarantee" => {
                    options.guarantee = match value.as_str() {
                        "exactly_once" => Guarantee::ExactlyOnce,
                        "at_least_once" => Guarantee::AtLeastOnce,
                        _ => bail!("--guarantee exactly_once or at_least_once, not {value}"),
                    }
                }
                "--topics" => {
                    options.topics_change = match value.as_str() {
                        "changing" => true,
                        "fixed" => false,
                        _ => bail!("--topics changing or fixed, not {value}"),
                    }
                }
                "--break" => options.sabotage = Some(value),
                "--report" => options.report = value.into(),
                _ => bail!("unknown flag {flag}"),
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.minutes.is_none() && self.faults.is_none() {
            bail!("--minutes or --faults says when the run ends");
        }
        if ![1, 3].contains(&self.nodes) {
            bail!("--nodes 1 or 3, not {}", self.nodes);
        }
        if self.report.as_os_str().is_empty() {
            bail!("--report says where the reports go");
        }
        match self.sabotage.as_deref() {
            None => {}
            Some("offsets_outside") if cfg!(feature = "sabotage") => {}
            Some("offsets_outside") => bail!("--break needs a build with --features sabotage"),
            Some(other) => bail!("--break offsets_outside, not {other}"),
        }
        Ok(())
    }

    /// After so long the run ends.
    pub(crate) fn lasts(&self) -> Option<Duration> {
        self.minutes.map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0))
    }

    /// As Kafka Streams writes it.
    pub(crate) fn guarantee_name(&self) -> &'static str {
        match self.guarantee {
            Guarantee::ExactlyOnce => "exactly_once",
            Guarantee::AtLeastOnce => "at_least_once",
        }
    }

    /// The command that repeats this run.
    pub(crate) fn command(&self) -> String {
        let feature = if self.sabotage.is_some() { " --features sabotage" } else { "" };
        let mut command = format!(
            "cargo run --release -p oncestream-tests{feature} --bin chaos -- --seed {} --nodes {} \
             --guarantee {} --rate {}",
            self.seed,
            self.nodes,
            self.guarantee_name(),
            self.rate
        );
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                command.extend([" ", flag, " ", &value]);
            }
        };
        add("--minutes", self.minutes.map(|m| m.to_string()));
        add("--faults", self.faults.map(|n| n.to_string()));
        add("--topics", (!self.topics_change).then(|| "fixed".to_owned()));
        add("--break", self.sabotage.clone());
        let name = self.report.file_name().map(|n| n.to_string_lossy().into_owned());
        add("--report", name);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_run_needs_an_end_a_report_and_one_or_three_nodes() {
        assert!(parse("--minutes 0.5 --nodes 3 --report r").is_ok());
        for bad in [
            "--report r",
            "--faults 3",
            "--faults 3 --nodes 2 --report r",
            "--faults x --report r",
            "--faults 3 --report r --odd 1",
            "--faults 3 --report r --break everything",
            "--faults 3 --report r --topics some",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
