//! The second failure that transactions solve: a process that is thought dead wakes up.

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
    name: "thought-dead",
    title: || {
        text!("A process that is thought dead wakes up", "죽은 줄 알았던 프로세스가 깨어난다")
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "first", value: "transactions", breaks: &["doubled"] },
        Mutation {
            setting: "transactional.id",
            value: "one for each process",
            breaks: &["fenced", "held-by-epoch"],
        },
        Mutation {
            setting: "group.metadata",
            value: "false",
            breaks: &["refused", "held-by-generation"],
        },
    ],
    play,
};

/// How the two processes of an act are set up.
struct Act {
    /// The output's name, and the group's.
    output: &'static str,
    transactional: bool,
    /// The second process has the first one's `transactional.id`.
    same_id: bool,
    /// Offsets are sent with the member and its generation.
    group_metadata: &'static str,
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "This is the same application, but nobody dies. A process has read three payments, and \
         freezes when it is about to write their receipts. The cause may be a long garbage \
         collection or a suspended virtual machine. Here, its Produce request does not arrive, and \
         SIGSTOP stops the process. It sends no heartbeats, so the group takes it for dead and \
         gives its partition to another process. Then it wakes up, and goes on where it was.",
        "같은 애플리케이션이지만 이번에는 아무도 죽지 않습니다. 프로세스가 결제 세 건을 읽고 \
         영수증을 쓰려는 순간 멈춥니다. 긴 가비지 컬렉션이나 가상 머신의 일시 중지가 원인일 수 \
         있습니다. 여기서는 Produce 요청이 도착하지 못하고, SIGSTOP이 프로세스를 멈춥니다. \
         하트비트가 오지 않으므로 그룹은 이 프로세스가 죽었다고 판단하고 파티션을 다른 프로세스에 \
         넘깁니다. 그 뒤에 프로세스가 깨어나 하던 일을 계속합니다."
    ))?;
    stage.broker().create_topic("payments", 1)?;
    let meant = payments(3);
    let records = meant.iter().map(|payment| (None, Some(payment.as_str()), 1));
    stage.broker().append("payments", 0, records)?;

    without_transactions(stage, &meant)?;
    fenced_by_the_id(stage, &meant)?;
    refused_by_the_group(stage, &meant)
}

fn without_transactions(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!("Without transactions", "트랜잭션 없이"))?;
    let transactional = stage.setting("first", "no transactions") == "transactions";
    let act = Act { output: "receipts", transactional, same_id: true, group_metadata: "true" };
    freeze_and_wake(stage, &act)?;
    stage.log("receipts", 0)?;
    let label = text!("Without transactions", "트랜잭션 없이");
    let (outcome, verdict) = outcome(stage, &act, label, meant)?;
    let all = outcome.doubled == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        verdict == Verdict::Doubled && all,
        text!(
            "The woken process writes its receipts, although the partition no longer belongs to \
             it. The group refuses only its offset. By then, each receipt is in the log twice.",
            "깨어난 프로세스는 파티션이 더 이상 자기 것이 아닌데도 영수증을 씁니다. 그룹은 오프셋 \
             커밋만 거부하며, 그때는 이미 모든 영수증이 로그에 두 번씩 있습니다."
        ),
    )
}

fn fenced_by_the_id(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!(
        "A transactional.id for each input partition",
        "입력 파티션마다 정해진 transactional.id"
    ))?;
    stage.tell(text!(
        "Any process that reads payments-0 writes with the transactional.id that belongs to \
         payments-0. When the second process starts, its InitProducerId raises the epoch, and the \
         first one is fenced. Before Kafka 2.5 this was the only way. It takes one producer for \
         each input partition.",
        "payments-0 파티션을 읽는 프로세스는 항상 이 파티션에 정해진 transactional.id로 씁니다. 두 \
         번째 프로세스가 시작할 때 보내는 InitProducerId가 에포크를 올리므로 첫 번째 프로세스는 \
         펜싱됩니다. Kafka 2.5 전에는 이 방법뿐이었으며, 입력 파티션마다 프로듀서가 하나씩 \
         필요합니다."
    ))?;
    let id = stage.setting("transactional.id", "one for payments-0");
    let act = Act {
        output: "fenced-receipts",
        transactional: true,
        same_id: id == "one for payments-0",
        group_metadata: "false",
    };
    let woken = freeze_and_wake(stage, &act)?;
    stage.log("fenced-receipts", 0)?;
    let refused = refusal(stage, woken, Api::Produce);
    stage.claim(
        "fenced",
        refused.as_deref() == Some("INVALID_PRODUCER_EPOCH"),
        text!(
            "The broker refuses the late receipts with INVALID_PRODUCER_EPOCH before they are in \
             the log. For librdkafka this is a fatal error: the producer cannot be used any more.",
            "브로커는 늦게 도착한 영수증을 로그에 쓰지 않고 INVALID_PRODUCER_EPOCH로 거부합니다. \
             librdkafka에서 이것은 치명적(fatal) 오류이므로 이 프로듀서는 더 이상 쓸 수 없습니다."
        ),
    )?;
    let label = text!("Fenced by the epoch", "에포크로 펜싱");
    let (outcome, verdict) = outcome(stage, &act, label, meant)?;
    stage.outcome(outcome)?;
    stage.claim(
        "held-by-epoch",
        verdict == Verdict::Held,
        text!("Each receipt is there once.", "모든 영수증이 정확히 한 번씩 있습니다."),
    )
}

fn refused_by_the_group(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!(
        "The generation of the group (KIP-447)",
        "컨슈머 그룹의 세대(generation) 확인 (KIP-447)"
    ))?;
    stage.tell(text!(
        "Each process has a transactional.id of its own, so nobody raises the epoch of the frozen \
         one, and its late receipts get into the log. But it sends its offsets together with its \
         member id and generation (the group metadata), and the group coordinator checks them.",
        "이번에는 프로세스마다 transactional.id가 다릅니다. 그래서 멈춘 프로세스의 에포크를 아무도 \
         올리지 않고, 늦은 영수증도 로그에 들어갑니다. 그러나 프로세스는 오프셋을 보낼 때 멤버 \
         ID와 세대(그룹 메타데이터)를 함께 보내고, 그룹 코디네이터가 이를 확인합니다."
    ))?;
    let group_metadata = stage.setting("group.metadata", "true");
    let act = Act { output: "safe-receipts", transactional: true, same_id: false, group_metadata };
    let woken = freeze_and_wake(stage, &act)?;
    stage.log("safe-receipts", 0)?;
    let refused = refusal(stage, woken, Api::TxnOffsetCommit);
    stage.claim(
        "refused",
        refused.as_deref() == Some("UNKNOWN_MEMBER_ID"),
        text!(
            "The group no longer knows this member (UNKNOWN_MEMBER_ID), so the offsets do not get \
             into the transaction, and the process can only abort it. A member with an old \
             generation would get ILLEGAL_GENERATION.",
            "그룹에 이 멤버가 더 이상 없으므로(UNKNOWN_MEMBER_ID) 오프셋은 트랜잭션에 들어가지 \
             못하고, 프로세스는 트랜잭션을 중단(abort)할 수밖에 없습니다. 세대가 지난 멤버라면 \
             ILLEGAL_GENERATION을 받습니다."
        ),
    )?;
    let label = text!("Refused by the generation", "세대 확인으로 거부");
    let (outcome, verdict) = outcome(stage, &act, label, meant)?;
    stage.outcome(outcome)?;
    stage.claim(
        "held-by-generation",
        verdict == Verdict::Held,
        text!(
            "A reader with read_committed sees each receipt once. Kafka Streams and Oncestream \
             work this way, so one producer can serve many partitions.",
            "read_committed 컨슈머는 모든 영수증을 정확히 한 번씩 읽습니다. Kafka Streams와 \
             Oncestream도 이 방식을 쓰므로 프로듀서 하나로 여러 파티션을 처리할 수 있습니다."
        ),
    )
}

fn outcome(
    stage: &Stage<'_>,
    act: &Act,
    label: Text,
    meant: &[String],
) -> Result<(Outcome, Verdict), LabError> {
    let seen = read(stage.broker(), act.output, "read_committed")?;
    let outcome = Outcome::compare(label, meant, &seen);
    let verdict = outcome.verdict();
    Ok((outcome, verdict))
}

/// The error that the first process got for a request of this kind after it woke up.
fn refusal(stage: &Stage<'_>, woken: u64, api: Api) -> Option<String> {
    let requests = stage.broker().requests();
    let mut late = requests.iter().filter(|r| r.number > woken && r.client_id == "app-1");
    late.find(|request| request.api == api)?.error_name()
}

/// The first process freezes before its receipts are stored, the second one takes over, the first one
/// wakes up and comes to its end. Answers how many requests there had been when it woke up.
fn freeze_and_wake(stage: &mut Stage<'_>, act: &Act) -> Result<u64, LabError> {
    stage.broker().create_topic(act.output, 1)?;
    // On all of them until it is woken: its client may try again before SIGSTOP has stopped it.
    let lost = Fault::on(Api::Produce).client_id("app-1").always().then(Action::Disconnect);
    let lost = stage.broker().faults().add(lost);
    let mark = stage.mark();
    let mut first = start(stage, "app-1", act)?;
    stage.wait_for("app-1 to write", |broker| {
        broker.faults().fired(lost) > 0 || first.check().is_err()
    })?;
    first.check()?;
    first.signal("STOP")?;
    // The lab does not wait for session.timeout.ms.
    stage.expire_members(act.output);
    let second = start(stage, "app-2", act)?;
    stage.wait_for_commit(act.output, "payments", 3)?;
    stage.wire(
        mark,
        text!("app-1 freezes, app-2 takes over", "app-1이 멈추고 app-2가 이어받는다"),
    )?;

    stage.broker().faults().remove(lost);
    let mark = stage.mark();
    let woken = stage.broker().request_count();
    first.signal("CONT")?;
    stage.wait_for("app-1 to come to its end", |broker| {
        first.has_ended()
            || broker.requests().iter().any(|request| {
                request.number > woken
                    && request.client_id == "app-1"
                    && matches!(request.api, Api::OffsetCommit | Api::EndTxn)
                    && request.answered
            })
    })?;
    first.kill();
    second.kill();
    stage.wire(mark, text!("app-1 wakes up", "app-1이 깨어난다"))?;
    Ok(woken)
}

fn start(stage: &Stage<'_>, name: &str, act: &Act) -> Result<Worker, LabError> {
    let settings = [
        ("client.id", name),
        ("input", "payments"),
        ("output", act.output),
        ("group", act.output),
        ("transactional", if act.transactional { "true" } else { "false" }),
        ("transactional.id", if act.same_id { "payments-0" } else { name }),
        ("group.metadata", act.group_metadata),
        ("commit_every", "3"),
        // So the frozen process is stopped before it tries again.
        ("producer.retry.backoff.ms", "500"),
        ("producer.retry.backoff.max.ms", "500"),
    ];
    Worker::start(stage.lab(), &transfer::role(stage.servers(), &settings))
}
