//! A file of connection settings for a tool with a client of its own.

use std::fs;

use oncestream_runtime::config::connection_properties;

use super::*;

fn read(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.properties");
    fs::write(&file, text).unwrap();
    connection_properties(file)
}

#[test]
fn keys_are_handed_on_as_they_are_and_a_java_login_as_name_and_password() {
    let text = "bootstrap.servers = a:1\nadmin.client.id=x\nmine=1\n\
                sasl.jaas.config=x.ScramLoginModule required \\\n  username=\"al\" password=\" s \";\n";
    let pairs = read(text).unwrap();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let given = [("bootstrap.servers", "a:1"), ("admin.client.id", "x"), ("mine", "1")];
    let login = [("sasl.username", "al"), ("sasl.password", " s ")];
    assert_eq!(pairs, [&given[..], &login].concat());
}

#[test]
fn no_part_of_a_secret_is_in_what_is_refused() {
    for (text, tells) in [
        ("sasl.jaas.config=x.Krb5LoginModule required password=\"hunter2\";", "sasl.jaas.config"),
        // A line that lost the backslash before it, alone and with what looks like a value.
        ("sasl.password=a\nhunter2\n", "line 2"),
        (
            "sasl.jaas.config=x.PlainLoginModule required username=a password=b;\nhunter2=c\n",
            "line 2",
        ),
        ("ssl.truststore.certificates=-----BEGIN CERTIFICATE-----\nMIIhunter2==\n", "line 2"),
        ("a=\\uhunter2", "line 1"),
    ] {
        let error = read(text).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains(tells) && !told.contains("hunter2"), "{told}");
    }
    let error = connection_properties("not there").unwrap_err().to_string();
    assert!(error.contains("not there"), "{error}");
}
