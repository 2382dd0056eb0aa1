//! A second listener that takes TLS and SCRAM alone, an authoriser behind it, and the certificate.
//!
//! Knows nothing of users: they and their rights are made with Kafka's admin on the plain listener,
//! whose clients may do everything. Invariant: the certificate is made for one cluster, by the
//! JDK's `keytool`, and goes with its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::KafkaError;
use super::install::{java, text_of};
use super::settings::Ports;

/// Guards a key that lives as long as a test.
const PASSWORD: &str = "oncestream";

/// A self-signed certificate for 127.0.0.1: the brokers' key store, and what clients trust.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    key_store: PathBuf,
    /// PEM.
    pub(super) authority: PathBuf,
}

impl Certificate {
    pub(super) fn create(folder: &Path) -> Result<Self, KafkaError> {
        let tls = folder.join("tls");
        fs::create_dir_all(&tls).map_err(KafkaError::io("create", &tls))?;
        let (key_store, authority) = (tls.join("broker.p12"), tls.join("ca.pem"));
        let store = |command: &str, more: &[&str]| {
            let mut keytool = Command::new(java().with_file_name("keytool"));
            keytool.args([command, "-alias", "broker", "-storepass", PASSWORD, "-keystore"]);
            keytool.arg(&key_store).args(more);
            run(keytool)
        };
        store(
            "-genkeypair",
            &[
                "-storetype",
                "PKCS12",
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-validity",
                "2",
                "-dname",
                "CN=oncestream test broker",
                "-ext",
                "SAN=ip:127.0.0.1,dns:localhost",
            ],
        )?;
        store("-exportcert", &["-rfc", "-file", &authority.to_string_lossy()])?;
        Ok(Self { key_store, authority })
    }

    /// The properties of a node with these ports.
    pub(super) fn properties(&self, own: Ports) -> BTreeMap<String, String> {
        let clients =
            format!("PLAINTEXT://127.0.0.1:{},SECURE://127.0.0.1:{}", own.broker, own.secure);
        let listeners = format!("{clients},CONTROLLER://127.0.0.1:{}", own.controller);
        let key_store = self.key_store.to_string_lossy();
        [
            ("listeners", &*listeners),
            ("advertised.listeners", &clients),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
            ),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
            (
                "listener.name.secure.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            ("listener.name.secure.ssl.keystore.type", "PKCS12"),
            ("listener.name.secure.ssl.keystore.location", &key_store),
            ("listener.name.secure.ssl.keystore.password", PASSWORD),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            // The plain listener's: the brokers themselves, and the test's admin.
            ("super.users", "User:ANONYMOUS"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

fn run(mut keytool: Command) -> Result<(), KafkaError> {
    let program = PathBuf::from(keytool.get_program());
    match keytool.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(KafkaError::CertificateFailed { output: text_of(&output) }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(KafkaError::JavaMissing { program }),
        Err(e) => Err(KafkaError::io("run", &program)(e)),
    }
}
