//! Which values and names must not be shown.
//!
//! It knows names, never values. In doubt a key counts as a secret, because a hidden public certificate
//! costs nothing.

use super::names;

/// Parts of the names of secret settings, in librdkafka and in the Java clients.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "jaas",
    "token",
    "credential",
    "private",
    "user.info",
    "ssl_key",
    "ssl.keystore.key",
    "oauthbearer.config",
    "oauthbearer.extensions",
    ".pem",
];

/// What words of a mistyped name may have been meant to be.
const SECRET_WORDS: &[&str] = &["password", "passphrase", "secret", "credential"];

/// Settings below `ssl.` and `sasl.` that may be shown. All others are hidden, known or mistyped.
const PUBLIC: &[&str] = &[
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// More than the longest name there is, less than a line of a PEM file.
const LONGEST_NAME: usize = 60;

/// Whether the value of `key` must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let (_, bare) = names::split(&key);
    let is_security = bare.starts_with("ssl.") || bare.starts_with("sasl.");
    is_security && !PUBLIC.contains(&bare)
        || SECRET_PARTS.iter().any(|part| key.contains(part))
        || key.split(['.', '_', '-']).any(is_nearly_secret)
}

/// `socket` is two edits from `secret`, so a short word may have one alone.
fn is_nearly_secret(word: &str) -> bool {
    SECRET_WORDS.iter().any(|secret| strsim::osa_distance(word, secret) <= secret.len() / 4)
}

/// What is shown in place of a secret.
pub(super) const HIDDEN: &str = "[hidden]";

/// The value as an error or a `Debug` may show it.
pub(super) fn shown(key: &str, value: &str) -> String {
    if is_secret(key) { HIDDEN.to_owned() } else { value.to_owned() }
}

/// Whether it can be a name at all. What cannot may be a line of a value that lost its first.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= LONGEST_NAME && name.chars().all(legal) && !name.starts_with("--")
}

/// A name as an error may show it.
pub(super) fn shown_name(name: &str) -> String {
    if is_name(name) {
        return name.to_owned();
    }
    format!("[hidden: {} characters that are no name]", name.chars().count())
}
