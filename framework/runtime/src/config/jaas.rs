//! A user's name and password from a Java client's `sasl.jaas.config`.
//!
//! Knows the login modules of PLAIN and SCRAM. Invariant: nothing of the text is in an error.

use std::iter::Peekable;
use std::str::Chars;

const MODULES: &[&str] = &["PlainLoginModule", "ScramLoginModule"];

/// The user's name and password; `None` for another module, a delegation token, or a text that
/// Java would read in another way.
pub(super) fn login(text: &str) -> Option<(String, String)> {
    let (module, rest) = text.trim().strip_suffix(';')?.split_once(char::is_whitespace)?;
    // `required`, `requisite` and so on: with one module they mean the same.
    let (_, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let mut rest = rest.trim_start().chars().peekable();
    let (mut username, mut password) = (None, None);
    while rest.peek().is_some() {
        let key: String = std::iter::from_fn(|| rest.next_if(|c| *c != '=')).collect();
        rest.next()?;
        let value = value(&mut rest)?;
        match key.trim() {
            "username" => username = Some(value),
            "password" => password = Some(value),
            "tokenauth" if value == "true" => return None,
            another if another.contains(';') => return None,
            _ => {}
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
    }
    let known = module.rsplit('.').next().is_some_and(|class| MODULES.contains(&class));
    Some((username?, password?)).filter(|_| known)
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    let Some(quote) = rest.next_if(|c| matches!(c, '"' | '\'')) else {
        return Some(std::iter::from_fn(|| rest.next_if(|c| !c.is_whitespace())).collect());
    };
    let mut value = String::new();
    loop {
        match rest.next()? {
            end if end == quote => return Some(value),
            '\\' => match rest.next()? {
                escaped @ ('"' | '\'' | '\\') => value.push(escaped),
                _ => return None,
            },
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

    #[test]
    fn a_login_is_read_as_java_reads_it() {
        for (options, user, password) in [
            (r#"username="alice" password="a secret";"#, "alice", "a secret"),
            (r#"  password = "a;=b"   username='al\'ice' ;"#, "al'ice", "a;=b"),
            (r#"serviceName="kafka" username="a" password="q\"u\\o";"#, "a", r#"q"u\o"#),
            ("username=alice password=secret;", "alice", "secret"),
        ] {
            let read = login(&format!("{PLAIN} required {options}"));
            assert_eq!(read, Some((user.to_owned(), password.to_owned())), "{options}");
        }
    }

    #[test]
    fn what_is_no_name_and_password_is_not_guessed() {
        for text in [
            "",
            ";",
            PLAIN,
            r#"com.sun.security.auth.module.Krb5LoginModule required username="a" password="b";"#,
            r#"x.ScramLoginModule required username="a" password="b" tokenauth=true;"#,
            r#"x.PlainLoginModule required username="a";"#,
            r#"x.PlainLoginModule required username="a" password="b"#,
            r#"x.PlainLoginModule required username="a" password="\n";"#,
            r#"x.PlainLoginModule required username="a" password="b" x"#,
        ] {
            assert_eq!(login(text), None, "{text}");
        }
    }
}
