//! TLS: which authorities are believed, and the handshake.
//!
//! rustls on ring: no system library is needed to build it. Invariant: a broker's certificate is
//! always verified, with its host's name.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::ConfigError;

/// librdkafka's word for the authorities of the system.
const SYSTEM: &str = "probe";

/// How to speak TLS with any broker of a cluster.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Believes the authorities of a PEM file, or of the system: a company's own are there too.
    pub(crate) fn new(file: Option<&str>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        let file = file.filter(|file| *file != SYSTEM);
        let told = file.unwrap_or("the system's certificates").to_owned();
        let failed = |reason: String| ConfigError::Certificates { file: told.clone(), reason };
        match file {
            Some(file) => {
                for certificate in certificates(Path::new(file)).map_err(failed)? {
                    roots.add(certificate).map_err(|e| failed(e.to_string()))?;
                }
            }
            // A system has some that are out of date or of a form that is not taken.
            None => drop(
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
            ),
        }
        if roots.is_empty() {
            return Err(failed("there is no certificate in it".to_owned()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Agrees on TLS with the host.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
        self.0.connect(name, stream).await.map_err(|e| e.to_string())
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|e| e.to_string())?;
    found.map(|certificate| certificate.map_err(|e| e.to_string())).collect()
}
