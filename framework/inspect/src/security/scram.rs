//! SASL SCRAM (RFC 5802, RFC 7677), the client's half, as Apache Kafka speaks it. Pure but for the
//! nonce: messages in, messages out.
//!
//! Invariant: the broker is believed only after it has shown that it knows the password too.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SecureRandom;
use ring::{digest, hmac, pbkdf2};

/// No channel binding, no other identity.
const HEADER: &str = "n,,";
/// The header in base64.
const BINDING: &str = "c=biws";
/// Kafka's own least: whoever listens could guess the password with fewer.
const MIN_ITERATIONS: u32 = 4096;
/// Sixty times Kafka's own most: a broker that asks for more keeps this client busy.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Which hash function.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    hmac: hmac::Algorithm,
    digest: &'static digest::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

impl Hash {
    /// SHA-512, or else SHA-256.
    pub(super) fn of(is_512: bool) -> Self {
        if is_512 {
            let pbkdf2 = pbkdf2::PBKDF2_HMAC_SHA512;
            Self { hmac: hmac::HMAC_SHA512, digest: &digest::SHA512, pbkdf2 }
        } else {
            let pbkdf2 = pbkdf2::PBKDF2_HMAC_SHA256;
            Self { hmac: hmac::HMAC_SHA256, digest: &digest::SHA256, pbkdf2 }
        }
    }
}

/// A text that was never sent before.
pub(super) fn nonce() -> Result<String, String> {
    let mut bytes = [0; 24];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(BASE64.encode(bytes))
}

/// Before the first answer.
pub(super) struct Client {
    hash: Hash,
    password: String,
    nonce: String,
    /// The first message without its header, which is signed later.
    first_bare: String,
}

impl Client {
    pub(super) fn new(hash: Hash, username: &str, password: &str, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={username},r={nonce}");
        Self { hash, password: password.to_owned(), nonce, first_bare }
    }

    pub(super) fn first(&self) -> Vec<u8> {
        format!("{HEADER}{}", self.first_bare).into_bytes()
    }

    /// The second message, and who verifies the answer to it.
    pub(super) fn last(self, answer: &[u8]) -> Result<(Vec<u8>, Verifier), String> {
        let answer = text(answer)?;
        let challenge = Challenge::read(answer, &self.nonce)?;
        let mut salted = vec![0; self.hash.digest.output_len()];
        let (iterations, salt) = (challenge.iterations, &challenge.salt);
        pbkdf2::derive(self.hash.pbkdf2, iterations, salt, self.password.as_bytes(), &mut salted);
        let salted = hmac::Key::new(self.hash.hmac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let server_key = hmac::sign(&salted, b"Server Key");
        let stored_key = digest::digest(self.hash.digest, client_key.as_ref());

        let without_proof = format!("{BINDING},r={}", challenge.nonce);
        let signed = format!("{},{answer},{without_proof}", self.first_bare);
        let signature =
            hmac::sign(&hmac::Key::new(self.hash.hmac, stored_key.as_ref()), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let last = format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes();
        let key = hmac::Key::new(self.hash.hmac, server_key.as_ref());
        Ok((last, Verifier { key, signed }))
    }
}

/// What the broker's first message says.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> Challenge<'a> {
    fn read(answer: &'a str, nonce: &str) -> Result<Self, String> {
        let mut parts = answer.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        let parsed = (|| {
            let nonce = part("r=")?;
            let salt = BASE64.decode(part("s=")?).ok()?;
            let iterations: NonZeroU32 = part("i=")?.parse().ok()?;
            Some(Self { nonce, salt, iterations })
        })();
        let challenge = parsed.ok_or("what the broker answers is not SCRAM's")?;
        if !challenge.nonce.starts_with(nonce) || challenge.nonce == nonce {
            return Err("the broker answers another login: its nonce is not ours".to_owned());
        }
        let iterations = challenge.iterations.get();
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(format!(
                "the broker asks for {iterations} iterations; {MIN_ITERATIONS} to {MAX_ITERATIONS} are taken"
            ));
        }
        Ok(challenge)
    }
}

/// Before the last answer.
pub(super) struct Verifier {
    key: hmac::Key,
    signed: String,
}

impl Verifier {
    pub(super) fn verify(&self, answer: &[u8]) -> Result<(), String> {
        let answer = text(answer)?;
        if let Some(error) = answer.strip_prefix("e=") {
            return Err(crate::table::shown(error));
        }
        let signature = answer.split(',').next().and_then(|part| part.strip_prefix("v="));
        let signature = signature.and_then(|signature| BASE64.decode(signature).ok());
        let signature = signature.ok_or("what the broker answers is not SCRAM's")?;
        hmac::verify(&self.key, self.signed.as_bytes(), &signature).map_err(|_| {
            "the broker does not know the password: it is not the one it says".to_owned()
        })
    }
}

fn text(answer: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(answer).map_err(|_| "what the broker answers is no text".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// The example of RFC 7677.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn client() -> Client {
        Client::new(Hash::of(false), "user", "pencil", NONCE.to_owned())
    }

    #[test]
    fn the_example_of_the_rfc_is_spoken_to_the_letter() {
        assert_eq!(client().first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, verifier) = client().last(CHALLENGE.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(last).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        verifier.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_not_believed() {
        for answer in
            ["v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "e=invalid-proof", "", "v=%"]
        {
            let (_, verifier) = client().last(CHALLENGE.as_bytes()).unwrap();
            verifier.verify(answer.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn a_challenge_that_is_not_for_this_login_is_refused() {
        for answer in [
            "",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            "r=rOprNGfwEbeRWgbNEkqOx,s=%,i=4096",
            "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ] {
            assert!(client().last(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_name_with_signs_of_its_own_is_escaped() {
        let client = Client::new(Hash::of(true), "a=b,c", "p", "n".to_owned());
        assert_eq!(client.first(), b"n,,n=a=3Db=2Cc,r=n");
    }
}
