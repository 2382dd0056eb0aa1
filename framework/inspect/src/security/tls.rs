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

use super::Authorities;
use crate::config::ConfigError;

/// How to speak TLS with any broker of a cluster.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Believes these authorities.
    pub(crate) fn new(authorities: Authorities) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        let file = match &authorities {
            Authorities::File(file) => file.as_str(),
            Authorities::System => "the system's certificates",
        };
        let failed = |reason| ConfigError::Certificates { file: file.to_owned(), reason };
        match &authorities {
            Authorities::File(file) => {
                for certificate in certificates(Path::new(file)).map_err(failed)? {
                    roots.add(certificate).map_err(|e| failed(e.to_string()))?;
                }
            }
            // A system has some that are out of date or of a form that is not taken.
            Authorities::System => {
                let found = rustls_native_certs::load_native_certs().certs;
                roots.add_parsable_certificates(found);
            }
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
