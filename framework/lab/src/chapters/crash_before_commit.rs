//! The first failure that transactions solve: a crash after the output and before the offset.

use oncestream_broker::{Action, Api, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::read;
use crate::stage::Stage;
use crate::text::text;
use crate::worker::Worker;
use crate::workers::transfer;
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "crash-before-commit",
    title: || {
        text!("A crash before the offset is committed", "오프셋을 커밋하기 전에 죽은 애플리케이션")
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "first", value: "transactions", breaks: &["doubled"] },
        Mutation { setting: "second", value: "no transactions", breaks: &["aborted", "held"] },
    ],
    play,
};

/// Committed after so many.
const BATCH: i64 = 3;

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "An application reads payments and writes a receipt for each to another topic. After every \
         third payment, it commits the offset up to which it has read. So it writes to two places: \
         the receipts to a topic, the offset to the group coordinator. Here, the application is a \
         process of its own, and SIGKILL ends it between the two writes.",
        "애플리케이션이 결제를 읽고 결제마다 영수증을 다른 토픽에 씁니다. 그리고 세 건마다 \
         어디까지 읽었는지 오프셋을 커밋합니다. 즉 영수증은 토픽에, 오프셋은 그룹 코디네이터에 \
         따로 씁니다. 여기서 애플리케이션은 별도의 프로세스이고, 이 두 쓰기 사이에 SIGKILL로 강제 \
         종료됩니다."
    ))?;
    stage.broker().create_topic("payments", 1)?;
    let meant = payments(6);
    let records = meant.iter().map(|payment| (None, Some(payment.as_str()), 1));
    stage.broker().append("payments", 0, records)?;

    without_transactions(stage, &meant)?;
    with_transactions(stage, &meant)
}

fn without_transactions(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!("Without transactions", "트랜잭션 없이"))?;
    let transactional = stage.setting("first", "no transactions") == "transactions";
    stage.code(
        "producer.send(receipt);    // for each of three payments\n\
         producer.flush();          // <- after this, the second time, it is killed\n\
         consumer.commit(offset);",
    )?;
    let caption = text!(
        "The first process: its second OffsetCommit never arrives",
        "첫 번째 프로세스: 두 번째 OffsetCommit은 도착하지 못한다"
    );
    crash_and_restart(stage, "receipts", transactional, caption)?;
    stage.log("receipts", 0)?;
    let seen = read(stage.broker(), "receipts", "read_committed")?;
    let outcome = Outcome::compare(text!("Without transactions", "트랜잭션 없이"), meant, &seen);
    let doubled = outcome.verdict() == Verdict::Doubled
        && outcome.doubled == ["payment 4", "payment 5", "payment 6"];
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        doubled,
        text!(
            "The new process began at the last committed offset, which is 3, and wrote the \
             receipts of payments 4, 5 and 6 again.",
            "새 프로세스는 마지막으로 커밋된 오프셋 3부터 읽어 payment 4, 5, 6의 영수증을 다시 \
             썼습니다."
        ),
    )
}

fn with_transactions(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!("With transactions", "트랜잭션 사용"))?;
    let transactional = stage.setting("second", "transactions") == "transactions";
    stage.tell(text!(
        "Now the receipts and the offset are parts of one transaction. The application adds the \
         offset with send_offsets_to_transaction, and the offset counts only when the transaction \
         is committed. The process is killed as late as possible: everything is written, and only \
         its commit (EndTxn) does not arrive.",
        "이제 영수증과 오프셋이 하나의 트랜잭션에 들어갑니다. 오프셋은 \
         send_offsets_to_transaction으로 트랜잭션에 넣으며, 트랜잭션이 커밋되어야 유효해집니다. \
         프로세스는 가능한 한 늦은 순간에 강제 종료됩니다. 모든 것을 썼지만 커밋 요청(EndTxn)만 \
         도착하지 못합니다."
    ))?;
    stage.code(
        "producer.begin_transaction();\n\
         producer.send(receipt);    // for each of three payments\n\
         producer.send_offsets_to_transaction(offset, group);\n\
         producer.commit_transaction();    // <- in this, the second time, it is killed",
    )?;
    let caption = text!(
        "The first process: its second commit never arrives",
        "첫 번째 프로세스: 두 번째 커밋은 도착하지 못한다"
    );
    crash_and_restart(stage, "exact-receipts", transactional, caption)?;
    stage.log("exact-receipts", 0)?;
    let everything = read(stage.broker(), "exact-receipts", "read_uncommitted")?;
    let aborted = stage.broker().records("exact-receipts", 0).iter().filter(|r| r.aborted).count();
    stage.claim(
        "aborted",
        everything.len() == meant.len() + 3 && aborted == 3,
        text!(
            "Here, too, the receipts of payments 4, 5 and 6 are in the log twice. But an ABORT \
             marker follows the first three of them. When the new process asked for its producer \
             id, the coordinator aborted the transaction that the old process had left open, and \
             the offset with it.",
            "여기에서도 payment 4, 5, 6의 영수증은 로그에 두 번씩 있습니다. 하지만 먼저 쓴 세 건 \
             뒤에는 ABORT 마커가 있습니다. 새 프로세스가 프로듀서 ID를 요청했을 때, 코디네이터가 \
             이전 프로세스의 열린 트랜잭션을 그 안의 오프셋과 함께 중단(abort)했기 때문입니다."
        ),
    )?;
    let seen = read(stage.broker(), "exact-receipts", "read_committed")?;
    let outcome = Outcome::compare(text!("With transactions", "트랜잭션 사용"), meant, &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!(
            "A reader with read_committed sees each receipt once.",
            "read_committed 컨슈머는 모든 영수증을 정확히 한 번씩 읽습니다."
        ),
    )
}

/// A process works until its second commit, which does not arrive, and is killed; another one does the
/// rest. The output's name is the group's, too.
fn crash_and_restart(
    stage: &mut Stage<'_>,
    output: &str,
    transactional: bool,
    caption: Text,
) -> Result<(), LabError> {
    stage.broker().create_topic(output, 1)?;
    let commit = if transactional { Api::EndTxn } else { Api::OffsetCommit };
    let lost = Fault::on(commit).client_id("app-1").nth(2);
    let lost = stage.broker().faults().add(lost.then(Action::Drop));
    let mark = stage.mark();
    let mut first = start(stage, "app-1", output, transactional)?;
    stage.wait_for("the second commit of app-1", |broker| {
        broker.faults().fired(lost) == 1 || first.check().is_err()
    })?;
    first.check()?;
    first.kill();
    stage.wire(mark, caption)?;

    stage.tell(text!(
        "The process is dead. The group coordinator notices this only after session.timeout.ms (45 \
         seconds by default). The lab does not wait: it takes the member out of the group at once. \
         A new process starts in the same group.",
        "프로세스가 죽었습니다. 그룹 코디네이터는 session.timeout.ms(기본값 45초)가 지나야 이를 \
         알아챕니다. 실습에서는 기다리지 않고 멤버를 바로 그룹에서 제외합니다. 새 프로세스가 같은 \
         그룹에서 시작합니다."
    ))?;
    stage.expire_members(output);
    let mark = stage.mark();
    let second = start(stage, "app-2", output, transactional)?;
    stage.wait_for_commit(output, "payments", 2 * BATCH)?;
    second.kill();
    stage.wire(mark, text!("The process that takes over", "이어받은 프로세스"))
}

fn start(
    stage: &Stage<'_>,
    name: &str,
    output: &str,
    transactional: bool,
) -> Result<Worker, LabError> {
    let settings = [
        ("client.id", name),
        ("input", "payments"),
        ("output", output),
        ("group", output),
        ("transactional", if transactional { "true" } else { "false" }),
        ("commit_every", "3"),
    ];
    Worker::start(stage.lab(), &transfer::role(stage.servers(), &settings))
}
