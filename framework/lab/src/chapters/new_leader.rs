//! A leader dies, and the new one still knows the sequence numbers.

use oncestream_broker::{Action, Api, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Delivery, Sender, read};
use crate::stage::Stage;
use crate::table::Table;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "new-leader",
    title: || {
        text!(
            "A leader dies: the new one still knows the sequences",
            "리더가 죽어도 새 리더는 시퀀스 번호를 알고 있다"
        )
    },
    nodes: 3,
    mutations: &[
        Mutation {
            setting: "producer state",
            value: "dropped",
            breaks: &["answered-by-another", "held"],
        },
        Mutation { setting: "fault", value: "none", breaks: &["doubled"] },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("As Kafka does it", "Kafka의 방식"))?;
    stage.tell(text!(
        "There are three brokers. An idempotent producer sends two payments. The leader of the \
         partition stores the second one, and so do its followers. Then the leader dies before it \
         answers. The producer finds the new leader and sends the payment again, with the same \
         sequence number.",
        "브로커가 세 대 있습니다. 멱등 프로듀서가 결제 두 건을 보냅니다. 파티션의 리더와 \
         팔로워들이 두 번째 결제를 저장하지만, 리더는 응답하기 전에 죽습니다. 프로듀서는 새 리더를 \
         찾아 같은 시퀀스 번호로 결제를 다시 보냅니다."
    ))?;
    stage.tell(text!(
        "In Apache Kafka, each replica keeps its own state of the producers. A follower reads \
         producer id, epoch and sequence number from the batches that it copies. A broker that \
         starts reads its snapshot file and the log after it. The embedded brokers of the lab \
         share one log and one such state, so this is a model of a new leader that has rebuilt the \
         state.",
        "Apache Kafka에서는 복제본마다 프로듀서 상태를 따로 유지합니다. 팔로워는 복제하는 배치에서 \
         프로듀서 ID, 에포크, 시퀀스 번호를 읽고, 시작하는 브로커는 스냅샷 파일과 그 뒤의 로그를 \
         읽습니다. 이 실습의 내장 브로커들은 로그와 프로듀서 상태를 하나로 공유합니다. 따라서 \
         여기서 보이는 것은 상태를 복원한 새 리더의 모델입니다."
    ))?;
    let dropped = stage.setting("producer state", "kept") == "dropped";
    let (told, retried) = leader_dies(stage, "payments", dropped)?;
    stage.log("payments", 0)?;
    stage.table(Table::of_producers(stage.broker(), "payments", 0))?;
    let offsets: Vec<_> = told.iter().filter_map(|delivery| delivery.outcome.ok()).collect();
    stage.claim(
        "answered-by-another",
        retried && offsets == [(0, 0), (0, 1)],
        text!(
            "When payment 2 was sent again, a broker other than the one that had stored it \
             answered, with the offset of the first time.",
            "payment 2를 저장한 브로커가 아닌 다른 브로커가 재시도에 원래 오프셋으로 응답했습니다."
        ),
    )?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("A new leader that knows the sequence numbers", "시퀀스 번호를 아는 새 리더");
    let outcome = Outcome::compare(label, &payments(2), &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!("Each payment is there once.", "모든 결제가 정확히 한 번씩 있습니다."),
    )?;
    a_leader_that_forgot(stage)
}

fn a_leader_that_forgot(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!(
        "What if the new leader did not know them?",
        "새 리더가 시퀀스 번호를 모른다면?"
    ))?;
    stage.tell(text!(
        "A producer sends two refunds in the same way. This time there is a fault that Kafka does \
         not have: the new leader has the records, but knows nothing about producers. If a leader \
         has never seen an idempotent producer, it accepts any sequence number from it.",
        "환불 두 건을 같은 방식으로 보내되, Kafka에는 없는 결함을 넣습니다. 새 리더는 레코드는 \
         가지고 있지만 프로듀서에 대해서는 아무것도 모릅니다. 리더는 처음 보는 멱등 프로듀서라면 \
         어떤 시퀀스 번호든 받아들입니다."
    ))?;
    // ProducerAppendInfo.checkSequence: the numbers of an unknown producer may begin anywhere.
    let dropped = stage.setting("fault", "producer state dropped") != "none";
    leader_dies(stage, "refunds", dropped)?;
    stage.log("refunds", 0)?;
    let seen = read(stage.broker(), "refunds", "read_committed")?;
    let label = text!("A new leader that knows nothing", "아무것도 모르는 새 리더");
    let outcome = Outcome::compare(label, &messages("refunds"), &seen);
    let doubled = outcome.doubled == ["refund 2"];
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        doubled,
        text!(
            "Refund 2 is in the log twice, with the same producer id, epoch and sequence number. \
             Idempotence holds only because the state of the producers outlives the leader.",
            "refund 2가 같은 프로듀서 ID, 에포크, 시퀀스 번호로 로그에 두 번 저장되어 있습니다. \
             멱등성은 프로듀서 상태가 리더보다 오래 살아남기 때문에 유지됩니다."
        ),
    )
}

fn messages(topic: &str) -> Vec<String> {
    let one = topic.trim_end_matches('s');
    (1..=2).map(|number| format!("{one} {number}")).collect()
}

/// What the producer is told of two messages, if the leader dies between the second one and its
/// answer; and whether the second was answered by another node than the one that stored it.
fn leader_dies(
    stage: &mut Stage<'_>,
    topic: &str,
    state_dropped: bool,
) -> Result<(Vec<Delivery>, bool), LabError> {
    stage.broker().create_topic(topic, 1)?;
    let held = Fault::on(Api::Produce).topic(topic).nth(2).then(Action::HoldAnswer);
    stage.broker().faults().add(held);
    let mark = stage.mark();
    let producer = Sender::open(&stage.servers(), topic, &[("enable.idempotence", "true")])?;
    let [first, second] = <[String; 2]>::try_from(messages(topic)).unwrap_or_default();
    producer.deliver(topic, 0, &first)?;
    producer.send(topic, 0, &second)?;
    stage.wait_for("the second message", |broker| broker.records(topic, 0).len() == 2)?;
    if state_dropped {
        stage.broker().forget_producers(topic, 0);
    }
    let leader = stage.broker().view().partition(topic, 0).map_or(1, |found| found.leader);
    stage.broker().stop_node(leader)?;
    let told = producer.wait()?;
    stage.broker().start_node(leader)?;
    stage.wire(
        mark,
        text!("Broker {leader} dies before it answers", "응답하기 전에 죽은 브로커 {leader}"),
    )?;
    let requests = stage.broker().requests();
    let stored = requests.iter().rfind(|r| r.client_id == topic && r.api == Api::Produce);
    Ok((told, stored.is_some_and(|request| request.node != leader)))
}
