//! What was given and is kept: settings under their canonical names, and the user's own keys.
//!
//! It knows what may be shown. Invariant: no `Debug` here shows a secret, or anything of a user's own
//! keys.

use std::collections::BTreeMap;
use std::fmt;

use super::names::{self, Client};
use super::secrets::shown;

/// A key that has no effect, and why.
pub(super) type Ignored = (String, &'static str);

/// A value, and the name it was given under.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
}

/// Canonical keys, and what was given for them.
#[derive(Clone, Default)]
pub(super) struct Raw(pub(super) BTreeMap<String, Given>);

impl Raw {
    pub(super) fn put(&mut self, key: &str, name: &str, value: String) {
        self.0.insert(key.to_owned(), Given { name: name.to_owned(), value });
    }

    /// Settings without a prefix that this client takes.
    pub(super) fn shared(&self, client: Client) -> impl Iterator<Item = (&str, &str)> {
        let shared = self.0.iter().filter(move |(key, _)| names::is_shared(key, client));
        shared.map(|(setting, given)| (setting.as_str(), given.value.as_str()))
    }

    /// Settings with this client's prefix, but for those of the table, which are in typed fields.
    pub(super) fn passed(&self, client: Client) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(key, given)| {
            let setting = key.strip_prefix(client.prefix())?;
            names::folded(client, setting).is_none().then_some((setting, given.value.as_str()))
        })
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().map(|(key, given)| (key, shown(key, &given.value)));
        f.debug_map().entries(all).finish()
    }
}

/// The user's own keys: which there may be, and which there are.
#[derive(Clone, Default)]
pub(super) struct OwnKeys {
    pub(super) prefixes: Vec<String>,
    values: BTreeMap<String, String>,
}

impl OwnKeys {
    /// Whether an unknown key may be one. A mistyped setting of a client is none.
    pub(super) fn takes(&self, key: &str) -> bool {
        let begins = self.prefixes.iter().any(|prefix| key.starts_with(prefix));
        begins && names::split(key).0.is_none()
    }

    pub(super) fn put(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

impl fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A mistyped secret that was let through may be among the names.
        let count = self.values.len();
        f.debug_struct("OwnKeys").field("prefixes", &self.prefixes).field("count", &count).finish()
    }
}
