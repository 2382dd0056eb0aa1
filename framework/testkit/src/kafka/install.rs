//! Finds the folder of Kafka's jars, or makes it with Maven.
//!
//! Knows nothing of brokers. Invariants: a folder in the cache is complete, because it is filled
//! under another name and then renamed; and of all processes that want it at once, one runs Maven,
//! because they take a file lock before.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::KafkaError;

/// The version of Apache Kafka that is run.
pub const KAFKA_VERSION: &str = "4.3.1";

const POM: &str = include_str!("../../maven/pom.xml");

/// The folder of the jars of Apache Kafka: broker, tools, Kafka Streams and its
/// `TopologyTestDriver`. `FOLDER/*` is the class path to run any of them.
///
/// It is the folder that `ONCESTREAM_KAFKA_JARS` names. Without that it is a folder under
/// `XDG_CACHE_HOME` (or `~/.cache`), which the first call fills with Maven: 126 MB, once for all
/// crates and clones of the user. Processes may call this at the same time.
///
/// # Errors
///
/// When there is no Maven or it fails, when the folder named has no broker of [`KAFKA_VERSION`],
/// or when the cache cannot be written.
///
/// # Example
///
/// ```no_run
/// let jars = oncestream_testkit::kafka::install()?;
/// println!("java -cp '{}/*' kafka.Kafka server.properties", jars.display());
/// # Ok::<(), oncestream_testkit::kafka::KafkaError>(())
/// ```
pub fn install() -> Result<PathBuf, KafkaError> {
    if let Some(folder) = non_empty("ONCESTREAM_KAFKA_JARS") {
        return check(PathBuf::from(folder));
    }
    let cache = non_empty("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| non_empty("HOME").map(|home| Path::new(&home).join(".cache")))
        .ok_or(KafkaError::NoCacheFolder)?;
    install_in(&cache.join("oncestream"), Command::new("mvn"))
}

/// The `java` that is run: that of `JAVA_HOME`, or else the one on the `PATH`.
pub fn java() -> PathBuf {
    non_empty("JAVA_HOME")
        .map_or_else(|| PathBuf::from("java"), |home| Path::new(&home).join("bin").join("java"))
}

fn non_empty(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

fn check(folder: PathBuf) -> Result<PathBuf, KafkaError> {
    for artifact in ["kafka_2.13", "kafka-tools"] {
        let jar = format!("{artifact}-{KAFKA_VERSION}.jar");
        if !folder.join(&jar).is_file() {
            return Err(KafkaError::JarsIncomplete { folder, jar });
        }
    }
    Ok(folder)
}

fn install_in(cache: &Path, mvn: Command) -> Result<PathBuf, KafkaError> {
    // A changed pom is another folder, so that an old one is never taken for the new.
    let name = format!("kafka-{KAFKA_VERSION}-{:08x}", fnv1a(POM.as_bytes()));
    let folder = cache.join(&name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).map_err(KafkaError::io("create", cache))?;
    let lock_path = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock_path).map_err(KafkaError::io("create", &lock_path))?;
    // Held until the file is closed, at the end of this function or of the process.
    lock.lock().map_err(KafkaError::io("lock", &lock_path))?;
    if !folder.is_dir() {
        fill(cache, &folder, mvn)?;
    }
    Ok(folder)
}

fn fill(cache: &Path, folder: &Path, mut mvn: Command) -> Result<(), KafkaError> {
    let staging = tempfile::Builder::new()
        .prefix("installing-")
        .tempdir_in(cache)
        .map_err(KafkaError::io("create a folder in", cache))?;
    let pom = staging.path().join("pom.xml");
    fs::write(&pom, POM).map_err(KafkaError::io("write", &pom))?;
    let jars = staging.path().join("jars");
    let mut target = OsString::from("-DoutputDirectory=");
    target.push(&jars);

    let result = mvn
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(target)
        .stdin(Stdio::null())
        .output();
    let output = match result {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KafkaError::MavenMissing);
        }
        Err(error) => return Err(KafkaError::io("run", Path::new(mvn.get_program()))(error)),
    };
    if !output.status.success() || !jars.is_dir() {
        return Err(KafkaError::InstallFailed { output: text_of(&output) });
    }
    fs::rename(&jars, folder).map_err(KafkaError::io("create", folder))
}

/// All that a command printed.
pub(super) fn text_of(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stdout}{stderr}({})", output.status)
}

/// A hash that stays the same over versions of Rust, unlike that of the standard library.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A script in Maven's place; it gets the output folder as `$out`.
    fn fake_maven(script: &str) -> Command {
        let script = format!("for a; do out=${{a#-DoutputDirectory=}}; done\n{script}\n");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "mvn"]);
        command
    }

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn the_pom_fetches_the_version_that_is_announced() {
        assert!(POM.contains(&format!("<kafka.version>{KAFKA_VERSION}</kafka.version>")));
    }

    #[test]
    fn many_at_once_install_once() {
        let temp = tempfile::tempdir().unwrap();
        let runs = temp.path().join("runs");
        let script =
            format!("echo run >>'{}'; mkdir \"$out\"; touch \"$out/a.jar\"", runs.display());
        let cache = temp.path().join("cache");
        let folders: Vec<PathBuf> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| install_in(&cache, fake_maven(&script)).unwrap()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(folders.iter().all(|folder| folder.join("a.jar").is_file()));
        assert_eq!(fs::read_to_string(runs).unwrap(), "run\n");
        assert_eq!(entries(&cache), 2, "the folder and its lock, nothing left over");
    }

    #[test]
    fn a_failed_maven_leaves_no_folder_and_says_why() {
        let temp = tempfile::tempdir().unwrap();
        let mvn = fake_maven("mkdir \"$out\"; echo no route to host; exit 1");
        let cache = temp.path().join("cache");
        let error = install_in(&cache, mvn).unwrap_err();
        assert!(error.to_string().contains("no route to host"), "{error}");
        assert_eq!(entries(&cache), 1, "the lock only");
    }

    #[test]
    fn a_missing_maven_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let error = install_in(temp.path(), Command::new(temp.path().join("mvn"))).unwrap_err();
        assert!(matches!(error, KafkaError::MavenMissing), "{error}");
    }

    #[test]
    fn a_given_folder_must_hold_the_broker() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join(format!("kafka_2.13-{KAFKA_VERSION}.jar")), "").unwrap();
        let error = check(temp.path().to_owned()).unwrap_err();
        assert!(matches!(&error, KafkaError::JarsIncomplete { jar, .. } if jar.contains("tools")));
        fs::write(temp.path().join(format!("kafka-tools-{KAFKA_VERSION}.jar")), "").unwrap();
        assert!(check(temp.path().to_owned()).is_ok());
    }
}
