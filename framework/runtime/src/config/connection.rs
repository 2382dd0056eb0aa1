//! The keys of a `.properties` file for a tool that has a client of its own, and is no application.
//!
//! Knows which lines are no keys and what a `sasl.jaas.config` says; which keys the tool takes is its
//! own business. Invariant: no error has a value in it.

use std::path::Path;

use oncestream_engine::ConfigError;

use super::builder::{Strays, login, text_of};
use super::names::{self, Place};
use super::parse;

/// The keys and values of a `.properties` file as they are, but for a `sasl.jaas.config`: in its place
/// are the `sasl.username` and `sasl.password` that it says. Values may be secrets.
///
/// # Errors
/// A file that cannot be read, a malformed `\uXXXX`, a line that belongs to the value before it, a
/// `sasl.jaas.config` that is neither of PLAIN nor of SCRAM.
pub fn connection_properties(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut pairs = Vec::new();
    let mut strays = Strays::default();
    for parse::Pair { line, key, value } in parse::properties(&text_of(path.as_ref())?)? {
        let key = key.trim().to_owned();
        let place = names::place(&key, &value);
        let unknown = matches!(place, Err(ConfigError::UnknownKey { nearest: None, .. }));
        if let Some(line) = line.filter(|_| strays.has(&key, &value, unknown)) {
            return Err(ConfigError::StrayLine { line });
        }
        if let Ok(Place::Login(None)) = place {
            let (username, password) = login(&key, &value)?;
            pairs.push(("sasl.username".to_owned(), username));
            pairs.push(("sasl.password".to_owned(), password));
        } else {
            pairs.push((key, value));
        }
    }
    Ok(pairs)
}
