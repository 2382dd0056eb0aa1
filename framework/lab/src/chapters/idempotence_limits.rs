//! What idempotence does not do: it knows a batch that a client sends again, and no more.

use oncestream_broker::{Action, Api, Fault};
use rdkafka::producer::Producer as _;

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, failed, read};
use crate::stage::{LIMIT, Stage};
use crate::table::Table;
use crate::text::text;
use crate::{Chapter, LabError, Outcome};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "idempotence-limits",
    title: || {
        text!(
            "The limits of idempotence: sent again by hand, and after a restart",
            "멱등성의 한계: 애플리케이션이 다시 보낼 때, 그리고 재시작한 뒤"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "send again", value: "no", breaks: &["two-messages"] },
        Mutation {
            setting: "transactional.id",
            value: "shop",
            breaks: &["new-id", "stored-again", "no-zombie"],
        },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    sent_again_by_hand(stage)?;
    restarted(stage)
}

fn sent_again_by_hand(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("The application sends it again", "애플리케이션이 다시 보낸다"))?;
    stage.tell(text!(
        "An idempotent producer sends two payments, and the acknowledgement of the second one is \
         lost. After a while, the application decides that the payment was lost, and hands it to \
         the producer again. librdkafka cannot know that it is the same payment.",
        "멱등 프로듀서가 결제 두 건을 보내고, 두 번째 결제의 응답(ack)이 유실됩니다. 한동안 기다린 \
         애플리케이션은 결제가 유실되었다고 판단하고 같은 결제를 프로듀서에 다시 넘깁니다. \
         librdkafka는 이것이 같은 결제라는 사실을 알 수 없습니다."
    ))?;
    stage.code(
        "enable.idempotence = true\n\n\
         producer.send(\"payment 2\");\n\
         // no answer in time\n\
         producer.send(\"payment 2\");",
    )?;
    let again = stage.setting("send again", "yes") == "yes";

    stage.broker().create_topic("payments", 1)?;
    let lost = stage.broker().faults().add(Fault::on(Api::Produce).nth(2).then(Action::LoseAnswer));
    let mark = stage.mark();
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "1")];
    let producer = Sender::open(&stage.servers(), "shop", &settings)?;
    producer.deliver("payments", 0, "payment 1")?;
    producer.send("payments", 0, "payment 2")?;
    stage.wait_for("the lost answer", |broker| broker.faults().fired(lost) == 1)?;
    if again {
        producer.send("payments", 0, "payment 2")?;
    }
    producer.wait()?;

    stage.wire(
        mark,
        text!(
            "The client sends sequence 1 again; what the application sends again is sequence 2",
            "클라이언트가 재시도한 것은 시퀀스 번호 1, 애플리케이션이 다시 보낸 것은 시퀀스 번호 2"
        ),
    )?;
    stage.log("payments", 0)?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("Sent again by the application", "애플리케이션이 다시 보냄");
    let outcome = Outcome::compare(label, &payments(2), &seen);
    let doubled = outcome.doubled == ["payment 2"] && seen.len() == 3;
    stage.outcome(outcome)?;
    stage.claim(
        "two-messages",
        doubled,
        text!(
            "The broker recognised the batch that the client sent again. It stored what the \
             application sent again, because a new sequence number is a new message.",
            "브로커는 클라이언트가 재시도한 배치는 알아보았지만, 애플리케이션이 다시 보낸 메시지는 \
             저장했습니다. 시퀀스 번호가 새로우면 새 메시지이기 때문입니다."
        ),
    )
}

/// A producer of an application that was started.
///
/// A transactional id would be the way to tell the broker that it is the same producer.
fn started(stage: &Stage<'_>, client_id: &str, id: &str) -> Result<Sender, LabError> {
    let mut settings = vec![("enable.idempotence", "true")];
    if !id.is_empty() {
        settings.push(("transactional.id", id));
    }
    let producer = Sender::open(&stage.servers(), client_id, &settings)?;
    if !id.is_empty() {
        producer.client().init_transactions(LIMIT).map_err(failed(client_id))?;
        producer.client().begin_transaction().map_err(failed(client_id))?;
    }
    Ok(producer)
}

fn restarted(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("A restart", "재시작"))?;
    stage.tell(text!(
        "An application sends order 1 and then seems to be dead, so a new one is started. The new \
         one cannot know whether order 1 was stored, and sends it again. The broker gives it a new \
         producer id, because nothing in an idempotent producer says that it succeeds another one. \
         Then the old application, which was only slow, sends order 2.",
        "애플리케이션이 order 1을 보낸 뒤 죽은 것처럼 보여 새로 시작됩니다. 새 애플리케이션은 \
         order 1이 저장되었는지 알 수 없으므로 다시 보냅니다. 브로커는 새 프로듀서 ID를 \
         발급합니다. 멱등 프로듀서에는 어느 프로듀서의 뒤를 이었는지 알려 주는 정보가 없기 \
         때문입니다. 그 뒤에, 느렸을 뿐 살아 있던 이전 애플리케이션이 order 2를 보냅니다."
    ))?;
    // Without a transactional id, TransactionCoordinator.handleInitProducerId makes a new producer id.
    let id = stage.setting("transactional.id", "");

    stage.broker().create_topic("orders", 1)?;
    let mark = stage.mark();
    let old = started(stage, "old", id)?;
    old.deliver("orders", 0, "order 1")?;
    let new = started(stage, "new", id)?;
    new.deliver("orders", 0, "order 1")?;
    let zombie = old.deliver("orders", 0, "order 2")?;

    stage.wire(mark, text!("The old producer and the new one", "이전 프로듀서와 새 프로듀서"))?;
    stage.log("orders", 0)?;
    stage.table(Table::of_producers(stage.broker(), "orders", 0))?;
    let ids: Vec<_> = stage
        .broker()
        .records("orders", 0)
        .iter()
        .filter(|record| record.control.is_none())
        .map(|record| record.producer.map(|(id, _)| id))
        .collect();
    stage.claim(
        "new-id",
        ids.len() > 1 && ids[0] != ids[1],
        text!(
            "The restarted producer has another producer id, and begins again with sequence number \
             0.",
            "재시작한 프로듀서는 다른 프로듀서 ID를 받고 시퀀스 번호 0부터 다시 시작합니다."
        ),
    )?;
    let meant: Vec<_> = ["order 1", "order 2"].map(str::to_owned).into();
    let seen = read(stage.broker(), "orders", "read_committed")?;
    let label = text!("Sent again after a restart", "재시작 후 다시 보냄");
    let outcome = Outcome::compare(label, &meant, &seen);
    let doubled = outcome.doubled == ["order 1"];
    stage.outcome(outcome)?;
    stage.claim(
        "stored-again",
        doubled,
        text!(
            "The broker compares sequence numbers only within one producer id, so it stored order \
             1 again.",
            "브로커는 같은 프로듀서 ID 안에서만 시퀀스 번호를 비교하므로 order 1을 다시 \
             저장했습니다."
        ),
    )?;
    stage.claim(
        "no-zombie",
        zombie.outcome.is_ok(),
        text!(
            "The old producer can still write, because the new one did not fence it. Fencing takes \
             a transactional.id: with one, the new producer gets the same producer id with a \
             higher epoch.",
            "이전 프로듀서는 여전히 쓸 수 있습니다. 새 프로듀서가 이전 프로듀서를 펜싱하지 않았기 \
             때문입니다. 펜싱하려면 transactional.id가 필요합니다. transactional.id가 있으면 새 \
             프로듀서가 같은 프로듀서 ID를 더 높은 에포크로 받습니다."
        ),
    )
}
