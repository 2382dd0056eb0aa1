//! How a connection is secured: TLS, and who logs in.
//!
//! Knows no Kafka request but through `wire`, which sends what [`Login`] says. Invariant: a password
//! leaves this module in an exchange with the broker alone; no `Debug` and no error shows it.

#[cfg(feature = "tls")]
mod scram;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::fmt;

use crate::config::ConfigError;

/// What `security.protocol` and the keys beside it ask for.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<tls::Tls>,
    pub(crate) login: Option<Login>,
}

impl Security {
    /// With TLS there are authorities to believe.
    pub(crate) fn new(
        authorities: Option<Authorities>,
        login: Option<Login>,
    ) -> Result<Self, ConfigError> {
        #[cfg(feature = "tls")]
        return Ok(Self { tls: authorities.map(tls::Tls::new).transpose()?, login });
        #[cfg(not(feature = "tls"))]
        return match authorities {
            Some(_) => Err(ConfigError::Feature { what: "TLS (`security.protocol`)" }),
            None => Ok(Self { login }),
        };
    }
}

/// Who may sign a broker's certificate.
#[derive(Debug, Clone)]
pub(crate) enum Authorities {
    /// Whom the system believes: a company's own are there too.
    System,
    /// Those in a PEM file.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS reads it"))]
    File(String),
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// Who logs in, and how.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) mechanism: Mechanism,
    username: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Login");
        shown.field("mechanism", &self.mechanism).field("username", &self.username);
        shown.field("password", &"[hidden]").finish()
    }
}

impl Login {
    pub(crate) fn new(
        mechanism: Mechanism,
        username: String,
        password: String,
    ) -> Result<Self, ConfigError> {
        if cfg!(not(feature = "tls")) && mechanism != Mechanism::Plain {
            return Err(ConfigError::Feature { what: "SASL SCRAM (`sasl.mechanism`)" });
        }
        // It ends a name in a message of PLAIN.
        for (key, value) in [("sasl.username", &username), ("sasl.password", &password)] {
            if value.contains('\0') || value.is_empty() {
                let instead = "text that is not empty and has no character of code 0";
                return Err(ConfigError::Unsupported { key: key.to_owned(), instead });
            }
        }
        Ok(Self { mechanism, username, password })
    }

    /// Begins to log in.
    pub(crate) fn begin(&self) -> Result<Exchange, String> {
        match self.mechanism {
            Mechanism::Plain => {
                let first = format!("\0{}\0{}", self.username, self.password).into_bytes();
                Ok(Exchange { next: Some(first), scram: Scram::None })
            }
            #[cfg(feature = "tls")]
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                let hash = scram::Hash::of(self.mechanism == Mechanism::ScramSha512);
                let nonce = scram::nonce()?;
                let client = scram::Client::new(hash, &self.username, &self.password, nonce);
                Ok(Exchange { next: Some(client.first()), scram: Scram::First(client) })
            }
            // Refused before.
            #[cfg(not(feature = "tls"))]
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                Err("it is not in this build".to_owned())
            }
        }
    }

    /// What a broker says of a login that failed, unless it says the password.
    pub(crate) fn harmless<'a>(&self, text: &'a str) -> &'a str {
        if text.contains(&self.password) { "the broker refuses it" } else { text }
    }
}

/// A login under way.
pub(crate) struct Exchange {
    next: Option<Vec<u8>>,
    scram: Scram,
}

enum Scram {
    /// PLAIN, or the end.
    None,
    #[cfg(feature = "tls")]
    First(scram::Client),
    #[cfg(feature = "tls")]
    Final(scram::Verifier),
}

impl Exchange {
    /// What is to be sent next; none at the end.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        self.next.take()
    }

    /// Takes what the broker answers.
    #[cfg_attr(
        not(feature = "tls"),
        allow(clippy::unnecessary_wraps, unused_variables, reason = "PLAIN takes any answer")
    )]
    pub(crate) fn answered(&mut self, answer: &[u8]) -> Result<(), String> {
        match std::mem::replace(&mut self.scram, Scram::None) {
            Scram::None => {}
            #[cfg(feature = "tls")]
            Scram::First(client) => {
                let (last, verifier) = client.last(answer)?;
                self.next = Some(last);
                self.scram = Scram::Final(verifier);
            }
            #[cfg(feature = "tls")]
            Scram::Final(verifier) => verifier.verify(answer)?,
        }
        Ok(())
    }
}
