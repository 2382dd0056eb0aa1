//! `read_committed`, the last stable offset, and what a long transaction does to readers.

use oncestream_broker::{AnswerBody, Api, ControlKind};
use rdkafka::producer::Producer as _;

use crate::chapter::Mutation;
use crate::clients::{Sender, failed, read};
use crate::stage::{LIMIT, Stage};
use crate::table::Table;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "read-committed",
    title: || {
        text!(
            "read_committed, and what a long transaction does to readers",
            "read_committed, 그리고 긴 트랜잭션이 컨슈머에 미치는 영향"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation {
            setting: "isolation.level",
            value: "read_uncommitted",
            breaks: &["waits", "skipped"],
        },
        Mutation { setting: "slow", value: "aborts", breaks: &["in-order"] },
        Mutation { setting: "forgotten", value: "remembered", breaks: &["timed-out"] },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "The producer \"slow\" opens a transaction, writes one record, and does not end the \
         transaction yet. After this record, \"fast\" writes three payments to the same partition, \
         without a transaction. The broker stores and acknowledges them at once.",
        "프로듀서 \"slow\"가 트랜잭션을 열고 레코드 하나를 쓴 뒤 트랜잭션을 바로 끝내지 않습니다. \
         그 레코드 뒤에 프로듀서 \"fast\"가 같은 파티션에 트랜잭션 없이 결제 세 건을 씁니다. \
         브로커는 이 결제들을 바로 저장하고 응답(ack)합니다."
    ))?;
    let isolation = stage.setting("isolation.level", "read_committed");
    stage.code(&format!("isolation.level = {isolation}"))?;
    stage.broker().create_topic("payments", 1)?;

    let slow = Sender::open(&stage.servers(), "slow", &[("transactional.id", "slow")])?;
    slow.client().init_transactions(LIMIT).map_err(failed("slow"))?;
    readers_wait(stage, &slow, isolation)?;
    aborted_records_are_skipped(stage, &slow, isolation)?;
    a_forgotten_transaction_ends(stage)
}

/// How far the partition can be read, and by whom.
fn ends(stage: &mut Stage<'_>, transactional_id: &str) -> Result<bool, LabError> {
    let view = stage.broker().view();
    let found = view.partition("payments", 0);
    let (last_stable, high) = found.map_or((0, 0), |p| (p.last_stable_offset, p.high_watermark));
    let is = view.transaction(transactional_id).map_or("-", |found| found.state.name());
    let caption = text!("How far payments-0 can be read", "payments-0에서 읽을 수 있는 범위");
    let columns = ["transaction", "state", "last stable offset", "high watermark"];
    let row =
        [transactional_id, is, &last_stable.to_string(), &high.to_string()].map(str::to_owned);
    stage.table(Table::new(caption, &columns, vec![row.to_vec()]))?;
    Ok(last_stable < high)
}

fn readers_wait(
    stage: &mut Stage<'_>,
    slow: &Sender,
    isolation: &'static str,
) -> Result<(), LabError> {
    let mark = stage.mark();
    slow.client().begin_transaction().map_err(failed("slow"))?;
    slow.deliver("payments", 0, "slow 1")?;
    let fast = Sender::open(&stage.servers(), "fast", &[])?;
    for payment in super::payments(3) {
        fast.deliver("payments", 0, &payment)?;
    }
    let behind = ends(stage, "slow")?;
    let seen = read(stage.broker(), "payments", isolation)?;
    stage.wire(mark, text!("An open transaction", "열려 있는 트랜잭션"))?;
    let count = seen.len();
    stage.claim(
        "waits",
        behind && seen.is_empty(),
        text!(
            "The last stable offset is the offset at which the oldest open transaction begins. A \
             reader with read_committed gets nothing from there on. It read {count} records: the \
             three payments wait, although they belong to no transaction.",
            "last stable offset은 가장 오래된 열린 트랜잭션이 시작된 오프셋입니다. read_committed \
             컨슈머는 그 오프셋부터 아무것도 받지 못합니다. 읽은 레코드는 {count}건입니다. 결제 세 \
             건은 어떤 트랜잭션에도 속하지 않지만 함께 기다려야 합니다."
        ),
    )?;

    let mark = stage.mark();
    let ended = if stage.setting("slow", "commits") == "commits" {
        slow.client().commit_transaction(LIMIT)
    } else {
        slow.client().abort_transaction(LIMIT)
    };
    ended.map_err(failed("slow"))?;
    wait_until_stable(stage)?;
    ends(stage, "slow")?;
    let seen = read(stage.broker(), "payments", isolation)?;
    stage.wire(mark, text!("The transaction ends", "트랜잭션이 끝난다"))?;
    let meant = [vec!["slow 1".to_owned()], super::payments(3)].concat();
    let label = text!("After the commit", "커밋한 뒤");
    let outcome = Outcome::compare(label, &meant, &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "in-order",
        held && seen == meant,
        text!(
            "The commit moves the last stable offset on, and the reader gets all records in the \
             order of the log. So a reader can be late by as much as the longest transaction \
             lasts.",
            "커밋하면 last stable offset이 앞으로 나아가고, 컨슈머는 모든 레코드를 로그 순서대로 \
             받습니다. 즉 컨슈머는 가장 긴 트랜잭션이 지속되는 시간만큼 늦어질 수 있습니다."
        ),
    )
}

fn aborted_records_are_skipped(
    stage: &mut Stage<'_>,
    slow: &Sender,
    isolation: &'static str,
) -> Result<(), LabError> {
    stage.part(text!("An aborted transaction", "중단된 트랜잭션"))?;
    stage.tell(text!(
        "\"slow\" writes another record and aborts the transaction. The record stays in the log, \
         and the broker sends it to readers, too. But the Fetch answer also says which producer \
         ids have aborted transactions, and from which offset on. The consumer skips their records \
         up to the ABORT marker.",
        "\"slow\"가 레코드를 하나 더 쓰고 트랜잭션을 중단(abort)합니다. 레코드는 로그에 그대로 \
         남고, 브로커는 이 레코드도 컨슈머에 보냅니다. 대신 어느 프로듀서 ID의 트랜잭션이 어느 \
         오프셋부터 중단되었는지를 Fetch 응답에 함께 담습니다. 컨슈머는 해당 프로듀서의 레코드를 \
         ABORT 마커까지 건너뜁니다."
    ))?;
    slow.client().begin_transaction().map_err(failed("slow"))?;
    let delivery = slow.deliver("payments", 0, "slow 2")?;
    slow.client().abort_transaction(LIMIT).map_err(failed("slow"))?;
    wait_until_stable(stage)?;
    let mark = stage.mark();
    let since = stage.broker().request_count();
    let seen = read(stage.broker(), "payments", isolation)?;
    stage.wire(mark, text!("A reader of the whole partition", "파티션 전체를 읽는 컨슈머"))?;
    stage.log("payments", 0)?;
    let offset = delivery.outcome.map_or(-1, |(_, offset)| offset);
    let requests = stage.broker().requests();
    let fetches = requests.iter().filter(|r| r.number > since && r.api == Api::Fetch);
    let listed = fetches.into_iter().any(|request| match &request.answer {
        AnswerBody::Fetch(found) => {
            found.iter().flat_map(|fetched| &fetched.aborted).any(|(_, first)| *first == offset)
        }
        _ => false,
    });
    stage.claim(
        "skipped",
        listed && !seen.iter().any(|value| value == "slow 2"),
        text!(
            "The Fetch answer listed the transaction that was aborted from offset {offset} on, and \
             the consumer did not hand its record to the application.",
            "Fetch 응답의 목록에는 오프셋 {offset}부터 중단된 트랜잭션이 있었고, 컨슈머는 그 \
             레코드를 애플리케이션에 넘기지 않았습니다."
        ),
    )
}

fn a_forgotten_transaction_ends(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("A forgotten transaction", "잊힌 트랜잭션"))?;
    stage.tell(text!(
        "A third producer opens a transaction and never ends it. Its transaction.timeout.ms is one \
         second. The default is one minute, and a broker allows up to transaction.max.timeout.ms \
         (15 minutes by default). Apache Kafka looks for such transactions every 10 seconds, the \
         embedded broker at once.",
        "세 번째 프로듀서가 트랜잭션을 열고 끝내지 않습니다. 이 프로듀서의 \
         transaction.timeout.ms는 1초입니다. 기본값은 1분이고, 브로커는 \
         transaction.max.timeout.ms(기본값 15분)까지 허용합니다. Apache Kafka는 시간이 초과된 \
         트랜잭션을 10초마다 확인하지만, 내장 브로커는 바로 확인합니다."
    ))?;
    let settings = [("transactional.id", "forgotten"), ("transaction.timeout.ms", "1000")];
    let forgotten = Sender::open(&stage.servers(), "forgotten", &settings)?;
    forgotten.client().init_transactions(LIMIT).map_err(failed("forgotten"))?;
    let mark = stage.mark();
    forgotten.client().begin_transaction().map_err(failed("forgotten"))?;
    forgotten.deliver("payments", 0, "forgotten 1")?;
    let remembered = stage.setting("forgotten", "forgotten") != "forgotten";
    if remembered {
        forgotten.client().commit_transaction(LIMIT).map_err(failed("forgotten"))?;
    } else {
        ends(stage, "forgotten")?;
    }
    wait_until_stable(stage)?;
    ends(stage, "forgotten")?;
    let late = forgotten.client().commit_transaction(LIMIT);
    stage.wire(mark, text!("The commit comes after the time-out", "시간 초과 뒤에 도착한 커밋"))?;
    let records = stage.broker().records("payments", 0);
    let aborted = records.last().is_some_and(|last| last.control == Some(ControlKind::Abort));
    stage.claim(
        "timed-out",
        aborted && late.is_err(),
        text!(
            "The coordinator aborted the transaction by itself, so readers can go on. To do so, it \
             raised the epoch. Therefore it refuses the late commit.",
            "코디네이터가 스스로 트랜잭션을 중단했으므로 컨슈머는 계속 읽을 수 있습니다. 이때 \
             코디네이터가 에포크를 올렸기 때문에 늦게 온 커밋은 거부됩니다."
        ),
    )
}

fn wait_until_stable(stage: &Stage<'_>) -> Result<(), LabError> {
    stage.wait_for("the last stable offset to reach the end", |broker| {
        let view = broker.view();
        let found = view.partition("payments", 0);
        found.is_some_and(|p| p.last_stable_offset == p.high_watermark)
    })
}
