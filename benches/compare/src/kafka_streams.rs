//! Kafka Streams as a child process: its jars, its compilation, its command line.
//!
//! The program itself is `java/Main.java`. Its jars are those of the test kit. It is compiled with
//! `javac` ahead of the runs, into `compare` under cargo's target directory: a JVM that compiles in
//! memory at start would carry the compiler in its resident set.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::job::RunSpec;

/// A compiled program, ready to run.
pub(crate) struct KafkaStreams {
    class_path: String,
    java_options: String,
}

impl KafkaStreams {
    /// Compiles the program below `build_dir`, with the jars of the folder `jars` or else the
    /// test kit's, which the first call on a machine fetches with Maven.
    ///
    /// # Errors
    /// When Maven or `javac` is missing or fails.
    pub(crate) fn prepare(
        build_dir: &Path,
        jars: Option<&Path>,
        java_options: &str,
    ) -> Result<Self> {
        let source_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
        let jars = match jars {
            Some(jars) => jars.to_owned(),
            None => oncestream_testkit::kafka::install()?,
        };
        let jars = format!("{}/*", jars.display());
        let classes = build_dir.join("classes");
        fs::create_dir_all(&classes)?;
        // Always compiled: it takes two seconds, and no stale class can be measured.
        let mut javac = Command::new(oncestream_testkit::kafka::java().with_file_name("javac"));
        javac.args(["-cp", &jars, "-d"]).arg(&classes).arg(source_dir.join("Main.java"));
        succeed(javac)?;
        Ok(Self {
            class_path: format!("{}:{jars}", classes.display()),
            java_options: java_options.to_owned(),
        })
    }

    /// The command that runs `spec`.
    pub(crate) fn command(&self, spec: &RunSpec) -> Command {
        let mut command = Command::new(oncestream_testkit::kafka::java());
        command
            .args(self.java_options.split_whitespace())
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &self.class_path, "Main"])
            .args(spec.to_args());
        command
    }
}

fn succeed(mut command: Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} is needed"))?;
    if !output.status.success() {
        bail!(
            "{program} failed with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
