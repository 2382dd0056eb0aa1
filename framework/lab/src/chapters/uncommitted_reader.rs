//! A reader that is not `read_committed` sees what was aborted.

use oncestream_broker::{Api, RequestBody};

use super::payments;
use crate::chapter::Mutation;
use crate::receiver::Receiver;
use crate::stage::{Mark, Stage};
use crate::text::text;
use crate::transactions::Transactions;
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "uncommitted-reader",
    title: || {
        text!(
            "What transactions do not cover: a reader that is not read_committed",
            "트랜잭션이 보장하지 않는 것: read_committed가 아닌 컨슈머"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation {
            setting: "isolation.level of the first reader",
            value: "read_committed",
            breaks: &["doubled"],
        },
        Mutation {
            setting: "isolation.level of the second reader",
            value: "read_uncommitted",
            breaks: &["held"],
        },
        Mutation {
            setting: "isolation.level of the third reader",
            value: "read_uncommitted",
            breaks: &["default"],
        },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let meant = payments(2);
    write(stage, &meant)?;
    let first = stage.setting("isolation.level of the first reader", "read_uncommitted");
    stage.part(text!("isolation.level = {first}", "isolation.level = {first}"))?;
    let label = text!("A consumer with {first}", "{first} 컨슈머");
    let (outcome, _) = read(stage, label, "first-reader", first, &meant)?;
    let doubled = outcome.doubled == ["payment 2"];
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        doubled,
        text!(
            "The consumer reads payment 2 twice: once from the aborted transaction, and once from \
             the committed one.",
            "컨슈머가 payment 2를 두 번 읽습니다. 한 번은 중단된 트랜잭션의 것이고, 한 번은 커밋된 \
             트랜잭션의 것입니다."
        ),
    )?;
    committed_readers(stage, &meant)
}

/// Payment 2 is aborted, and then sent again.
fn write(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.tell(text!(
        "A producer commits payment 1. It sends payment 2 and aborts the transaction. Then it \
         sends payment 2 again and commits. An abort deletes nothing: the records stay in the log, \
         and a marker after them says that they were aborted. It is up to the consumer to leave \
         them out.",
        "프로듀서가 payment 1을 커밋합니다. payment 2를 보낸 뒤 트랜잭션을 중단(abort)하고, \
         payment 2를 다시 보내 커밋합니다. 중단해도 레코드는 지워지지 않습니다. 레코드는 로그에 \
         그대로 남고, 중단되었다는 마커가 그 뒤에 기록될 뿐입니다. 이런 레코드를 걸러 내는 것은 \
         컨슈머의 몫입니다."
    ))?;
    stage.broker().create_topic("payments", 1)?;
    let mark = stage.mark();
    let shop = Transactions::open(stage.broker(), "shop")?;
    for (payment, commit) in [(&meant[0], true), (&meant[1], false), (&meant[1], true)] {
        shop.begin()?;
        shop.send("payments", "shop", payment)?;
        if commit { shop.commit()? } else { shop.abort()? }
    }
    super::settled(stage, None, "payments")?;
    stage.wire(
        mark,
        text!("Requests and answers of the producer \"shop\"", "프로듀서 \"shop\"의 요청과 응답"),
    )?;
    stage.log("payments", 0)
}

fn committed_readers(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!("The solution: one setting", "해결책: 설정 하나"))?;
    stage.tell(text!(
        "With isolation.level=read_committed, the broker adds a list of the aborted transactions \
         to its Fetch answer, and the consumer leaves their records out. The defaults differ: the \
         consumers of librdkafka are read_committed by default. The Java consumer of Apache Kafka \
         and kafka-console-consumer.sh are read_uncommitted by default.",
        "isolation.level=read_committed로 설정하면 브로커가 Fetch 응답에 중단된 트랜잭션의 목록을 \
         함께 보내고, 컨슈머는 그 레코드를 건너뜁니다. 격리 수준의 기본값은 클라이언트마다 \
         다릅니다. librdkafka 컨슈머의 기본값은 read_committed이지만, Apache Kafka의 Java 컨슈머와 \
         kafka-console-consumer.sh의 기본값은 read_uncommitted입니다."
    ))?;
    let mark = stage.mark();
    let second = stage.setting("isolation.level of the second reader", "read_committed");
    let label = text!("A consumer with {second}", "{second} 컨슈머");
    let (held, _) = read(stage, label, "second-reader", second, meant)?;
    let third = stage.setting("isolation.level of the third reader", "");
    let label = text!(
        "A consumer of librdkafka with nothing set",
        "아무것도 설정하지 않은 librdkafka 컨슈머"
    );
    let (default, committed) = read(stage, label, "third-reader", third, meant)?;
    stage.wire(mark, text!("What the two consumers asked for", "두 컨슈머가 보낸 요청"))?;
    let holds = held.verdict() == Verdict::Held;
    stage.outcome(held)?;
    stage.claim(
        "held",
        holds,
        text!(
            "With read_committed, the consumer reads each payment once.",
            "read_committed 컨슈머는 모든 결제를 정확히 한 번씩 읽습니다."
        ),
    )?;
    let holds = default.verdict() == Verdict::Held && committed;
    stage.outcome(default)?;
    stage.claim(
        "default",
        holds,
        text!(
            "librdkafka's consumer asked for read_committed, although nothing was set.",
            "librdkafka 컨슈머는 아무것도 설정하지 않아도 read_committed로 요청했습니다."
        ),
    )
}

/// What a consumer reads, and whether each of its fetches asked for committed records alone.
fn read(
    stage: &Stage<'_>,
    label: Text,
    name: &str,
    isolation: &str,
    meant: &[String],
) -> Result<(Outcome, bool), LabError> {
    let mark = Mark::of(stage.broker());
    let settings = [("isolation.level", isolation)];
    let settings = if isolation.is_empty() { &settings[..0] } else { &settings[..] };
    let receiver = Receiver::open(&stage.servers(), name, "payments", settings)?;
    let seen: Vec<_> = receiver.read_from(0)?.into_iter().map(|record| record.value).collect();
    let fetches = stage.requests(mark).into_iter().filter(|request| request.api == Api::Fetch);
    let committed = |body| matches!(body, RequestBody::Fetch { read_committed: true, .. });
    let all_committed = fetches.map(|request| request.body).all(committed);
    Ok((Outcome::compare(label, meant, &seen), all_committed))
}
