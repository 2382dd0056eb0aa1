//! Text in the languages that the lab speaks.
//!
//! Names of Kafka's (settings, requests, error codes) are the same in all of them.

use std::fmt;
use std::str::FromStr;

use crate::LabError;

/// A language of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Language {
    /// English, `en`.
    #[default]
    English,
    /// Korean, `ko`.
    Korean,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// The language of the environment (`LC_ALL`, `LC_MESSAGES`, `LANG`: the first that is set) if the
    /// lab speaks it, and English if not.
    pub fn of_environment() -> Self {
        Self::of_locale(|name| std::env::var(name).ok())
    }

    fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let locale = names.into_iter().filter_map(variable).find(|value| !value.is_empty());
        let locale = locale.unwrap_or_default();
        let code = locale.split(['_', '.', '@']).next().unwrap_or_default();
        code.parse().unwrap_or_default()
    }

    /// Its code in ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = LabError;

    fn from_str(code: &str) -> Result<Self, LabError> {
        let found = Self::ALL.into_iter().find(|language| language.code() == code);
        found.ok_or_else(|| LabError::Language { code: code.to_owned() })
    }
}

/// The same text in each language.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// In English.
    pub english: String,
    /// In Korean.
    pub korean: String,
}

impl Text {
    /// The text in a language.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
            Language::Korean => &self.korean,
        }
    }
}

/// A [`Text`] of two format strings, English first. Both may name what is in scope: `{count}`.
macro_rules! text {
    ($english:literal, $korean:literal $(,)?) => {
        $crate::text::Text { english: format!($english), korean: format!($korean) }
    };
}
pub(crate) use text;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Language {
        Language::of_locale(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_variable_that_is_set_tells_the_language() {
        assert_eq!(of(&[("LANG", "ko_KR.UTF-8")]), Language::Korean);
        assert_eq!(of(&[("LANG", "ko")]), Language::Korean);
        assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "ko_KR.UTF-8")]), Language::English);
        assert_eq!(of(&[("LC_ALL", ""), ("LANG", "ko_KR.UTF-8")]), Language::Korean);
        assert_eq!(of(&[("LANG", "kok_IN")]), Language::English);
        assert_eq!(of(&[]), Language::English);
    }
}
