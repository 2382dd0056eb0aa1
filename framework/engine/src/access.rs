//! What the brokers may refuse: a connection, or a right on a thing. Only names; the errors that
//! carry them are in `error.rs`.

use std::fmt;

/// A thing that rights are granted on, as Kafka's ACLs have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// A topic.
    Topic,
    /// A consumer group: the `application.id`.
    Group,
    /// A transactional id; all of an application begin with its `application.id`.
    TransactionalId,
    /// The cluster as a whole.
    Cluster,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Group => "group",
            Self::TransactionalId => "transactional id",
            Self::Cluster => "cluster",
        })
    }
}

/// Why no connection comes about although something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// The broker does not take the credentials.
    Authentication,
    /// The TLS handshake fails: an unknown authority, another host's certificate, or no TLS there.
    Tls,
    /// The two sides speak different protocols: plain text to a TLS port, or no SASL where it is
    /// wanted.
    Protocol,
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authentication => {
                "they do not take the credentials; check sasl.mechanism, sasl.username and sasl.password"
            }
            Self::Tls => {
                "the TLS handshake fails; check security.protocol, ssl.ca.location and \
                 ssl.endpoint.identification.algorithm"
            }
            Self::Protocol => "they expect another security.protocol; check that it fits the port",
        })
    }
}
