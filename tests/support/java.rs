//! Java programs on the jars of Apache Kafka: its own command line tools, and checks compiled here.
//!
//! Knows nothing of what they print. Invariant: what is compiled is compiled anew for each process,
//! so that no stale class is ever run.

use std::fs;
use std::path::Path;
use std::process::Command;

use oncestream_testkit::kafka::{install, java};
use tempfile::TempDir;

use crate::program::{DEADLINE, Ended, run};

/// What can be run: the class path.
#[derive(Debug)]
pub struct Java {
    class_path: String,
    /// The compiled classes, if there are any; they go with this.
    _classes: Option<TempDir>,
}

impl Java {
    /// Apache Kafka's own classes.
    ///
    /// # Panics
    /// If the jars cannot be had.
    pub fn kafka() -> Self {
        let jars = install().unwrap_or_else(|e| panic!("the jars of Apache Kafka: {e}"));
        Self { class_path: format!("{}/*", jars.display()), _classes: None }
    }

    /// Those, and all `.java` files of a folder, which `javac` compiles into a temporary one.
    ///
    /// # Panics
    /// If there is no `javac`, or if it warns of anything.
    pub fn compile(folder: &Path) -> Self {
        let jars = Self::kafka().class_path;
        let classes = tempfile::tempdir().unwrap();
        let mut javac = Command::new(java().with_file_name("javac"));
        // Of the warnings without `-path`: jars name others in their manifests that are not there.
        javac.args(["-Xlint:all,-path", "-Werror", "-proc:none", "-cp", &jars, "-d"]);
        javac.arg(classes.path());
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        javac.args(files.filter(|path| path.extension().is_some_and(|e| e == "java")));
        run(javac, "", DEADLINE).succeeded();
        let class_path = format!("{}:{jars}", classes.path().display());
        Self { class_path, _classes: Some(classes) }
    }

    /// Runs a main class until it ends.
    ///
    /// # Panics
    /// If it hangs.
    pub fn run(&self, main: &str, arguments: &[&str], stdin: &str) -> Ended {
        let mut command = Command::new(java());
        // Programs that live for seconds: the quick compiler and one thread for the heap.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.args(["-cp", &self.class_path, main]).args(arguments);
        run(command, stdin, DEADLINE)
    }
}
