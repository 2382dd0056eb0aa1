//! At most once: what is lost on the way, and what is lost in the middle of the work.

use std::collections::BTreeMap;

use oncestream_broker::{Action, Api, Broker, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, read};
use crate::stage::Stage;
use crate::text::text;
use crate::worker::{Role, Worker};
use crate::workers::receipts;
use crate::{Chapter, LabError, Outcome};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "at-most-once",
    title: || {
        text!(
            "At most once: what is lost is not sent again",
            "최대 한 번: 유실된 메시지는 다시 보내지 않는다"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "acks", value: "all", breaks: &["lost-on-the-way"] },
        Mutation { setting: "order", value: "process first", breaks: &["lost-in-the-middle"] },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    the_producer_does_not_ask(stage)?;
    the_consumer_commits_first(stage)
}

fn the_producer_does_not_ask(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("A producer that wants no answer", "응답을 기다리지 않는 프로듀서"))?;
    stage.tell(text!(
        "A producer sends three payments with acks=0. The broker sends no answers, and the \
         producer counts a message as delivered as soon as it has written it to the connection. \
         While the third request is on its way, the connection breaks.",
        "프로듀서가 acks=0 설정으로 결제 세 건을 보냅니다. 브로커는 응답을 보내지 않고, 프로듀서는 \
         메시지를 연결에 쓰는 순간 전달된 것으로 간주합니다. 세 번째 요청이 전송되는 도중에 연결이 \
         끊깁니다."
    ))?;
    let acks = stage.setting("acks", "0");
    stage.code(&format!(
        "acks = {acks}\nretries = 10    # of no use: without answers, no failure is seen"
    ))?;

    stage.broker().create_topic("payments", 1)?;
    let lost = Fault::on(Api::Produce).nth(3).then(Action::Disconnect);
    let lost = stage.broker().faults().add(lost);
    let mark = stage.mark();
    let settings = [("acks", acks), ("retries", "10"), ("enable.idempotence", "false")];
    let producer = Sender::open(&stage.servers(), "shop", &settings)?;
    let meant = payments(3);
    let mut delivered = true;
    for payment in &meant {
        delivered &= producer.deliver("payments", 0, payment)?.outcome.is_ok();
    }
    stage.wait_for("the third request", |broker| broker.faults().fired(lost) == 1)?;

    stage.wire(mark, text!("Requests of the producer \"shop\"", "프로듀서 \"shop\"의 요청"))?;
    stage.log("payments", 0)?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("acks=0, the connection breaks", "acks=0, 연결이 끊김");
    let outcome = Outcome::compare(label, &meant, &seen);
    let lost = delivered && outcome.lost == ["payment 3"];
    stage.outcome(outcome)?;
    stage.claim(
        "lost-on-the-way",
        lost,
        text!(
            "librdkafka reported all three payments as delivered, but payment 3 is not in the log. \
             Nobody learns that it is missing.",
            "librdkafka는 결제 세 건이 모두 전달되었다고 보고했지만, payment 3은 로그에 없습니다. \
             유실되었다는 사실을 아무도 알 수 없습니다."
        ),
    )
}

fn the_consumer_commits_first(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("A consumer that commits first", "먼저 커밋하는 컨슈머"))?;
    stage.tell(text!(
        "A process reads three orders and writes a receipt for each. It first commits the offset \
         of an order, and then writes the receipt. The process is killed after it has committed \
         the second order and before it has written the receipt. Another process goes on at the \
         committed offset.",
        "한 프로세스가 주문 세 건을 읽고 주문마다 영수증을 씁니다. 먼저 주문의 오프셋을 커밋하고, \
         그다음에 영수증을 씁니다. 두 번째 주문을 커밋한 뒤 영수증을 쓰기 전에 프로세스가 강제 \
         종료됩니다. 다른 프로세스가 커밋된 오프셋부터 이어서 처리합니다."
    ))?;
    let order = stage.setting("order", "commit first");
    stage.code(match order {
        "commit first" => "commit(offset + 1);\nwrite_receipt(order);",
        _ => "write_receipt(order);\ncommit(offset + 1);",
    })?;

    stage.broker().create_topic("orders", 1)?;
    stage.broker().create_topic("receipts", 1)?;
    let meant: Vec<_> = (1..=3).map(|number| format!("order {number}")).collect();
    let orders = meant.iter().map(|order| (None, Some(order.as_str()), 0));
    stage.broker().append("orders", 0, orders)?;

    let mark = stage.mark();
    let first = start(stage, "billing", order, "order 2")?;
    // One of the two comes before the moment of death, whichever is first.
    stage.wait_for("the second order to be half done", |broker| {
        committed(broker) == Some(2) || broker.records("receipts", 0).len() == 2
    })?;
    first.kill();
    let second = start(stage, "billing again", order, "")?;
    stage.wait_for("the receipt of the third order", |broker| {
        let written = broker.records("receipts", 0);
        let last = written.last().and_then(|record| record.value.as_deref());
        last == Some(b"order 3".as_slice()) && all_answered(broker, "billing again")
    })?;
    second.kill();

    stage.wire(
        mark,
        text!(
            "The process that is killed, and the one that goes on",
            "강제 종료된 프로세스와 이어받은 프로세스"
        ),
    )?;
    stage.log("receipts", 0)?;
    let seen = read(stage.broker(), "receipts", "read_committed")?;
    let label = text!("Commit first, then a crash", "먼저 커밋한 뒤 강제 종료");
    let outcome = Outcome::compare(label, &meant, &seen);
    let lost = outcome.lost == ["order 2"] && outcome.doubled.is_empty();
    stage.outcome(outcome)?;
    stage.claim(
        "lost-in-the-middle",
        lost,
        text!(
            "The offset of order 2 is committed, but order 2 has no receipt. No process of this \
             group will read it again.",
            "order 2의 오프셋은 커밋되었지만 영수증이 없습니다. 이 그룹의 어떤 프로세스도 order \
             2를 다시 읽지 않습니다."
        ),
    )
}

fn start(
    stage: &Stage<'_>,
    client_id: &str,
    order: &str,
    dies_at: &str,
) -> Result<Worker, LabError> {
    let settings = [("client.id", client_id), ("order", order), ("dies at", dies_at)];
    let settings: BTreeMap<_, _> =
        settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let role = Role { name: receipts::NAME.to_owned(), servers: stage.servers(), settings };
    Worker::start(stage.lab(), &role)
}

/// The diagram is to show the answer to the last receipt, too.
fn all_answered(broker: &Broker, client_id: &str) -> bool {
    let requests = broker.requests();
    let mut receipts =
        requests.iter().filter(|r| r.client_id == client_id && r.api == Api::Produce);
    receipts.all(|request| request.answered)
}

fn committed(broker: &Broker) -> Option<i64> {
    let view = broker.view();
    let group = view.group("billing")?;
    group.offsets.first().map(|(_, _, committed)| committed.offset)
}
