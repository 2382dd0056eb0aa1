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
