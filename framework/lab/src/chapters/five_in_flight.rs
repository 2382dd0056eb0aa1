//! Five batches in flight, and why not six.

mod by_hand;

use kafka_protocol::ResponseError;
use oncestream_broker::{Action, Api, Broker, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, read};
use crate::stage::Stage;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "five-in-flight",
    title: || {
        text!(
            "Five batches in flight, and why not six",
            "전송 중인(in-flight) 배치는 다섯 개까지: 왜 여섯 개는 안 되는가"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation {
            setting: "max.in.flight.requests.per.connection",
            value: "1",
            breaks: &["reordered"],
        },
        Mutation {
            setting: "enable.idempotence",
            value: "false",
            breaks: &["too-early", "in-order", "no-six"],
        },
        Mutation { setting: "batches", value: "5", breaks: &["forgotten"] },
        Mutation { setting: "batches", value: "7", breaks: &["remembered"] },
    ],
    play,
};

/// `NOT_ENOUGH_REPLICAS`: the broker did not store the batch, and the client may try again.
const NOT_ENOUGH_REPLICAS: i16 = 19;

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    without_numbers(stage)?;
    with_numbers(stage)?;
    no_six(stage)?;
    by_hand::the_broker_remembers_five(stage)
}

/// Six payments, of which five are under way at once, because the broker stands still. The first of
/// those five is refused once.
fn send_together(
    stage: &mut Stage<'_>,
    topic: &str,
    idempotence: &str,
    in_flight: &str,
    caption: Text,
) -> Result<Vec<String>, LabError> {
    stage.broker().create_topic(topic, 1)?;
    let refused = Fault::on(Api::Produce).topic(topic).nth(2);
    stage.broker().faults().add(refused.then(Action::Error(NOT_ENOUGH_REPLICAS)));
    let settings = [
        ("enable.idempotence", idempotence),
        ("max.in.flight.requests.per.connection", in_flight),
        ("acks", "all"),
        ("batch.num.messages", "1"),
        ("statistics.interval.ms", "20"),
    ];
    let producer = Sender::open(&stage.servers(), topic, &settings)?;
    let meant = payments(6);
    producer.deliver(topic, 0, &meant[0])?;
    let mark = stage.mark();
    stage.broker().pause_node(1, true)?;
    for payment in &meant[1..] {
        producer.send(topic, 0, payment)?;
    }
    // What is sent again comes after what is under way.
    let wanted = in_flight.parse().unwrap_or(5);
    stage.wait_for("the requests under way", |_| producer.in_flight() >= wanted)?;
    stage.broker().pause_node(1, false)?;
    producer.wait()?;
    stage.wire(mark, caption)?;
    stage.log(topic, 0)?;
    Ok(meant)
}

fn without_numbers(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("Without idempotence", "멱등성이 없을 때"))?;
    stage.tell(text!(
        "Payment 1 is stored. Then the broker stands still for a moment. Meanwhile, the producer \
         sends five more payments in five requests, without waiting for answers. When the broker \
         goes on, it refuses the first of the five once, with NOT_ENOUGH_REPLICAS (too few \
         replicas are in sync). It takes the other four. (The diagram shows what the broker sees: \
         it takes the requests of a connection one at a time.)",
        "payment 1은 저장됩니다. 그런 다음 브로커가 잠시 멈추고, 그동안 프로듀서는 응답을 기다리지 \
         않고 결제 다섯 건을 요청 다섯 개로 보냅니다. 다시 움직이기 시작한 브로커는 동기화된 \
         복제본이 부족하다는 NOT_ENOUGH_REPLICAS 오류로 첫 번째 요청을 한 번 거부하고, 나머지 네 \
         개는 받습니다. (그림은 브로커가 본 순서입니다. 브로커는 한 연결의 요청을 하나씩 \
         처리합니다.)"
    ))?;
    let in_flight = stage.setting("max.in.flight.requests.per.connection", "5");
    stage.code(&format!(
        "enable.idempotence = false\nmax.in.flight.requests.per.connection = {in_flight}"
    ))?;
    let caption = text!("Five requests, the first one refused", "요청 다섯 개, 첫 번째는 거부됨");
    let meant = send_together(stage, "unnumbered", "false", in_flight, caption)?;
    let seen = read(stage.broker(), "unnumbered", "read_committed")?;
    let order: Vec<_> = [0, 2, 3, 4, 5, 1].map(|index: usize| meant[index].clone()).into();
    stage.claim(
        "reordered",
        seen == order,
        text!(
            "Nothing is lost or doubled, but payment 2 comes last, because the producer sent it \
             again after the others.",
            "유실되거나 중복된 것은 없지만 payment 2가 맨 뒤에 있습니다. 프로듀서가 payment 2를 \
             다른 결제보다 나중에 다시 보냈기 때문입니다."
        ),
    )
}

fn with_numbers(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("With idempotence", "멱등성이 있을 때"))?;
    stage.tell(text!(
        "The producer does the same again, now with sequence numbers. After the refusal, the \
         broker takes none of the later batches, because the number before them is missing. The \
         client sends all five again, in order.",
        "이번에는 시퀀스 번호를 붙여 똑같이 보냅니다. 첫 번째 배치를 거부한 브로커는 그 뒤의 \
         배치도 받지 않습니다. 앞 번호가 빠져 있기 때문입니다. 클라이언트는 다섯 개를 모두 \
         순서대로 다시 보냅니다."
    ))?;
    let idempotence = stage.setting("enable.idempotence", "true");
    stage.code(&format!(
        "enable.idempotence = {idempotence}\nmax.in.flight.requests.per.connection = 5"
    ))?;
    let caption = text!(
        "The same five requests, with sequence numbers",
        "시퀀스 번호를 붙인 같은 요청 다섯 개"
    );
    let meant = send_together(stage, "numbered", idempotence, "5", caption)?;
    stage.claim(
        "too-early",
        refused(stage.broker(), "numbered") > 0,
        text!(
            "The broker answered the batches that came too early with \
             OUT_OF_ORDER_SEQUENCE_NUMBER.",
            "브로커는 너무 일찍 도착한 배치에 OUT_OF_ORDER_SEQUENCE_NUMBER로 응답했습니다."
        ),
    )?;
    // TransactionManager.canRetry of the Java client; rd_kafka_idemp_drain_epoch_bump of librdkafka.
    stage.tell(text!(
        "librdkafka then raises the epoch of its producer id by itself, and counts from 0 again. \
         The Java client keeps its epoch, and sends the batches again with the same numbers.",
        "이때 librdkafka는 프로듀서 ID의 에포크를 스스로 올리고 시퀀스 번호를 0부터 다시 셉니다. \
         Java 클라이언트는 에포크와 시퀀스 번호를 그대로 두고 다시 보냅니다."
    ))?;
    let seen = read(stage.broker(), "numbered", "read_committed")?;
    let label = text!("Five in flight with idempotence", "멱등성이 있을 때, 전송 중 다섯 개");
    let outcome = Outcome::compare(label, &meant, &seen);
    let held = outcome.verdict() == Verdict::Held && seen == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "in-order",
        held,
        text!(
            "Each payment is there once, in the order in which they were sent.",
            "모든 결제가 보낸 순서대로 정확히 한 번씩 있습니다."
        ),
    )
}

/// How many requests were refused because a number was missing before them.
fn refused(broker: &Broker, client_id: &str) -> usize {
    let code = ResponseError::OutOfOrderSequenceNumber.code();
    let requests = broker.requests();
    requests.iter().filter(|r| r.client_id == client_id && r.error == Some(code)).count()
}

fn no_six(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("Six", "여섯 개"))?;
    let idempotence = stage.setting("enable.idempotence", "true");
    let settings =
        [("enable.idempotence", idempotence), ("max.in.flight.requests.per.connection", "6")];
    let made = Sender::open(&stage.servers(), "six", &settings);
    let error = made.err().map(|error| error.to_string());
    let told = error.as_deref().unwrap_or("(no error)");
    stage.code(&format!(
        "enable.idempotence = {idempotence}\nmax.in.flight.requests.per.connection = 6\n\n{told}"
    ))?;
    stage.claim(
        "no-six",
        error.is_some_and(|error| error.contains("`max.in.flight` must be set <= 5")),
        text!(
            "librdkafka refuses to create an idempotent producer with six requests in flight. So \
             does the Java client.",
            "librdkafka는 전송 중인 요청을 여섯 개까지 허용하는 멱등 프로듀서의 생성을 거부합니다. \
             Java 클라이언트도 마찬가지입니다."
        ),
    )
}
