//! What the views say themselves, in each language.

use crate::text::text;
use crate::{Outcome, Text, Verdict};

/// How many messages are named before the rest is counted.
const NAMED: usize = 8;

pub(super) fn verdict(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Held => text!("held (each message once)", "유실도 중복도 없음"),
        Verdict::Lost => text!("lost", "유실"),
        Verdict::Doubled => text!("doubled", "중복"),
        Verdict::LostAndDoubled => text!("lost and doubled", "유실과 중복"),
    }
}

/// How many messages there should be, and how many there are.
pub(super) fn counts(outcome: &Outcome) -> Text {
    let (meant, seen) = (outcome.meant, outcome.seen);
    let messages = if meant == 1 { "message" } else { "messages" };
    text!(
        "{meant} {messages} expected, {seen} found",
        "있어야 할 메시지 {meant}건, 실제로 있는 메시지 {seen}건"
    )
}

/// Which messages are lost and which are doubled, a line each.
pub(super) fn details(outcome: &Outcome) -> Vec<Text> {
    let mut lines = Vec::new();
    if !outcome.lost.is_empty() {
        let Text { english, korean } = named(&outcome.lost);
        lines.push(text!("lost: {english}", "유실: {korean}"));
    }
    if !outcome.doubled.is_empty() {
        let Text { english, korean } = named(&outcome.doubled);
        lines.push(text!("doubled: {english}", "중복: {korean}"));
    }
    lines
}

fn named(messages: &[String]) -> Text {
    let (first, rest) = messages.split_at(messages.len().min(NAMED));
    let first = first.join(", ");
    match rest.len() {
        0 => text!("{first}", "{first}"),
        more => text!("{first} and {more} more", "{first} 외 {more}건"),
    }
}

/// In a diagram: messages that are not shown.
pub(super) fn left_out(count: usize) -> Text {
    if count == 1 {
        text!("1 message is left out", "메시지 1건 생략")
    } else {
        text!("{count} messages are left out", "메시지 {count}건 생략")
    }
}

/// Beside an arrow that does not arrive.
pub(super) fn lost() -> Text {
    text!("lost", "유실")
}

/// In the place of a table's rows when there are none.
pub(super) fn empty() -> Text {
    text!("(empty)", "(비어 있음)")
}

/// Before a claim that does not hold.
pub(super) fn not_so() -> Text {
    text!("This does not hold:", "성립하지 않음:")
}

/// Of a chapter: how many of its claims hold.
pub(super) fn claims(hold: usize, all: usize) -> Text {
    match all {
        1 => text!("{hold} of 1 claim holds", "검증 항목 1개 중 {hold}개 성립"),
        _ => text!("{hold} of {all} claims hold", "검증 항목 {all}개 중 {hold}개 성립"),
    }
}

pub(super) fn broken_off(error: &str) -> Text {
    text!(
        "The chapter could not be shown to its end: {error}",
        "이 장을 끝까지 실행하지 못했습니다: {error}"
    )
}

pub(super) fn summary() -> Text {
    text!("Summary", "요약")
}

/// How long all took.
pub(super) fn took(chapters: usize, seconds: f64) -> Text {
    let noun = if chapters == 1 { "chapter" } else { "chapters" };
    text!("{chapters} {noun} in {seconds:.1} s", "{chapters}개 장, {seconds:.1}초")
}

/// What the lab is, in a sentence or two.
pub(super) fn about() -> Text {
    text!(
        "This page shows what at most once, at least once and exactly once mean, on a Kafka broker \
         that can be broken on purpose. Everything on it was recorded from a run. The arrows are \
         requests and answers from the log of the broker. The tables show what was really there. \
         Each sentence with a mark was compared with what happened.",
        "최대 한 번, 최소 한 번, 정확히 한 번이 무엇을 뜻하는지, 일부러 고장 낼 수 있는 Kafka \
         브로커에서 보여 줍니다. 이 페이지의 내용은 모두 실제 실행에서 기록한 것입니다. 화살표는 \
         브로커가 기록한 요청과 응답이고, 표는 실제로 남아 있던 내용이며, 표시가 붙은 문장은 모두 \
         실행 결과와 대조한 것입니다."
    )
}

pub(super) fn lab() -> Text {
    text!("The delivery lab", "메시지 전달 보장 실험실")
}

pub(super) fn contents() -> Text {
    text!("Contents", "차례")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_messages_is_cut_with_their_number() {
        let meant: Vec<_> = (0..20).map(|number| format!("m{number}")).collect();
        let outcome = Outcome::compare(text!("", ""), &meant, &[]);
        let lines = details(&outcome);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].english.ends_with(" and 12 more"), "{lines:?}");
        assert!(lines[0].korean.ends_with(" 외 12건"), "{lines:?}");
    }
}
