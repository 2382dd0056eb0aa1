//! The functions that the topologies share: those of `ConformanceTopologies.java`.
//!
//! Knows no topology. Invariant: each answers for a null too, and shows in its result in which order it
//! was called.

/// A text that may be null.
pub(crate) type Text = Option<String>;

/// The value that makes [`join_or_reset`] answer null.
pub(crate) const RESET: &str = "f";

/// `one` and then `two`, of which the last 12 characters; a null shows as "-".
pub(crate) fn join<'a>(one: impl Into<Option<&'a str>>, two: impl Into<Option<&'a str>>) -> String {
    let mut all = one.into().unwrap_or("-").to_owned() + two.into().unwrap_or("-");
    all.split_off(all.len().saturating_sub(12))
}

/// As [`join`], but null when `two` is [`RESET`].
pub(crate) fn join_or_reset(one: &str, two: Option<&str>) -> Text {
    (two != Some(RESET)).then(|| join(one, two))
}

/// Whether a value is null, or one of the first three letters.
pub(crate) fn early(value: &Text) -> bool {
    value.as_deref().is_none_or(|v| v <= "c")
}

/// A count as a text.
pub(crate) fn show(count: Option<i64>) -> Text {
    count.map(|n| n.to_string())
}

/// `one+two`; a null shows as "-".
pub(crate) fn pair<'a>(one: impl Into<Option<&'a str>>, two: impl Into<Option<&'a str>>) -> String {
    one.into().unwrap_or("-").to_owned() + "+" + two.into().unwrap_or("-")
}

/// As [`pair`], but null when `two` begins with [`RESET`].
pub(crate) fn pair_or_reset(one: Option<&str>, two: Option<&str>) -> Text {
    (!two.is_some_and(|two| two.starts_with(RESET))).then(|| pair(one, two))
}

/// The first letter, or null if it is that of [`RESET`].
pub(crate) fn letter(value: Option<&str>) -> Text {
    let value = value.filter(|value| !value.starts_with(RESET))?;
    Some(value[..1].to_owned())
}
