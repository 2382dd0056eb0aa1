//! Five batches in flight, and why not six.

use kafka_protocol::ResponseError;
use oncestream_broker::{Action, Api, Broker, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, read};
use crate::raw::{Batch, Raw};
use crate::stage::Stage;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "five-in-flight",
    title: || {
        text!(
            "Five batches in flight, and why not six",
            "전송 중인 배치는 다섯 개까지, 왜 여섯 개는 안 되는가"
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
    the_broker_remembers_five(stage)
}

/// Six payments, of which five pile up while the broker is away, and go out together. The first of
/// those five is refused once.
fn send_together(
    stage: &mut Stage<'_>,
    topic: &str,
    settings: &[(&str, &str)],
    caption: Text,
) -> Result<Vec<String>, LabError> {
    stage.broker().create_topic(topic, 1)?;
    let refused = Fault::on(Api::Produce).topic(topic).nth(2);
    stage.broker().faults().add(refused.then(Action::Error(NOT_ENOUGH_REPLICAS)));
    let mut all = vec![("batch.num.messages", "1")];
    all.extend(settings);
    let producer = Sender::open(&stage.servers(), topic, &all)?;
    let meant = payments(6);
    producer.deliver(topic, 0, &meant[0])?;
    let mark = stage.mark();
    stage.broker().stop_node(1)?;
    // What is handed to the producer before it knows would go into the broken connection.
    stage.wait_for("the producer to be cut off", |_| producer.was_cut_off())?;
    for payment in &meant[1..] {
        producer.send(topic, 0, payment)?;
    }
    stage.broker().start_node(1)?;
    producer.wait()?;
    stage.wire(mark, caption)?;
    stage.log(topic, 0)?;
    Ok(meant)
}

fn without_numbers(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("Without idempotence", "멱등성이 없을 때"))?;
    stage.tell(text!(
        "Payment 1 is stored. Then the broker is away for a moment, five payments pile up, and the \
         producer sends them in five requests without waiting for answers. The broker refuses the first \
         of the five once, because it has too few replicas, and takes the other four. (The diagram shows \
         the broker's side, and a broker takes the requests of a connection one at a time.)",
        "payment 1은 저장됩니다. 그런 다음 브로커가 잠시 내려간 사이 결제 다섯 건이 쌓이고, \
         프로듀서는 응답을 기다리지 않고 다섯 개의 요청으로 보냅니다. 브로커는 복제본이 부족하다는 \
         이유로 다섯 중 첫 번째를 한 번 거절하고 나머지 네 개는 받습니다. (그림은 브로커가 본 \
         순서입니다. 브로커는 한 연결의 요청을 하나씩 처리합니다.)"
    ))?;
    let in_flight = stage.setting("max.in.flight.requests.per.connection", "5");
    stage.code(&format!(
        "enable.idempotence = false\nmax.in.flight.requests.per.connection = {in_flight}"
    ))?;
    let settings = [
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", in_flight),
        ("acks", "all"),
    ];
    let caption = text!("Five requests, the first one refused", "요청 다섯 개, 첫 번째는 거절됨");
    let meant = send_together(stage, "unnumbered", &settings, caption)?;
    let seen = read(stage.broker(), "unnumbered", "read_committed")?;
    let order: Vec<_> = [0, 2, 3, 4, 5, 1].map(|index: usize| meant[index].clone()).into();
    stage.claim(
        "reordered",
        seen == order,
        text!(
            "Nothing is lost or doubled, but payment 2 comes last: it was sent again after the others.",
            "잃거나 중복된 것은 없지만 payment 2가 맨 뒤에 있습니다. 다른 것들보다 나중에 다시 \
             보냈기 때문입니다."
        ),
    )
}

fn with_numbers(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("With idempotence", "멱등성이 있을 때"))?;
    stage.tell(text!(
        "The same again, with sequence numbers. After the refusal, the broker takes no later batch, \
         because a number is missing before it. The client sends all of them again, in order.",
        "이번에는 시퀀스 번호를 붙여 똑같이 합니다. 거절한 뒤로 브로커는 그다음 배치를 받지 않습니다. 그 \
         앞의 번호가 빠져 있기 때문입니다. 클라이언트는 모두 순서대로 다시 보냅니다."
    ))?;
    let idempotence = stage.setting("enable.idempotence", "true");
    stage.code(&format!(
        "enable.idempotence = {idempotence}\nmax.in.flight.requests.per.connection = 5"
    ))?;
    let settings = [
        ("enable.idempotence", idempotence),
        ("max.in.flight.requests.per.connection", "5"),
        ("acks", "all"),
    ];
    let caption = text!("The same five requests, with numbers", "번호가 있는 같은 요청 다섯 개");
    let meant = send_together(stage, "numbered", &settings, caption)?;
    stage.claim(
        "too-early",
        refused(stage.broker(), "numbered") == 4,
        text!(
            "The broker answered the four batches that came too early with OUT_OF_ORDER_SEQUENCE_NUMBER.",
            "브로커는 너무 일찍 온 배치 네 개에 OUT_OF_ORDER_SEQUENCE_NUMBER로 응답했습니다."
        ),
    )?;
    // TransactionManager.canRetry of the Java client; rd_kafka_idemp_drain_epoch_bump of librdkafka.
    stage.tell(text!(
        "librdkafka then raises the epoch of its producer id by itself, and counts from 0 again. The Java \
         client keeps both, and sends the same numbers again.",
        "이때 librdkafka는 자신의 프로듀서 ID의 epoch를 스스로 올리고 번호를 0부터 다시 셉니다. Java \
         클라이언트는 둘 다 그대로 두고 같은 번호로 다시 보냅니다."
    ))?;
    let seen = read(stage.broker(), "numbered", "read_committed")?;
    let label = text!("Five in flight with idempotence", "멱등성, 전송 중 다섯 개");
    let outcome = Outcome::compare(label, &meant, &seen);
    let held = outcome.verdict() == Verdict::Held && seen == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "in-order",
        held,
        text!(
            "Each payment is there once, in the order in which they were sent.",
            "모든 결제가 보낸 순서대로 정확히 한 번 있습니다."
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
            "librdkafka refuses to make an idempotent producer with six requests in flight; so does the \
             Java client.",
            "librdkafka는 전송 중 요청이 여섯 개인 멱등 프로듀서를 만들기를 거부합니다. Java 클라이언트도 \
             마찬가지입니다."
        ),
    )
}

fn the_broker_remembers_five(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "Why five? Of each producer, the broker keeps the numbers of its last five batches. Suppose six \
         were sent, all were stored, and no acknowledgement arrived. We write the requests by hand, since \
         no library would send them: six batches, then the second one again, and then the first one.",
        "왜 다섯일까요? 브로커는 프로듀서마다 최근 배치 다섯 개의 번호를 보관합니다. 여섯 개를 보냈고 모두 \
         저장되었지만 응답이 하나도 도착하지 않았다고 해 봅시다. 이런 요청을 보내는 라이브러리는 없으므로 \
         직접 만듭니다. 배치 여섯 개를 보내고, 두 번째 배치를 다시 보낸 뒤, 첫 번째 배치를 다시 보냅니다."
    ))?;
    let count: usize = stage.setting("batches", "6").parse().unwrap_or(6);
    stage.broker().create_topic("by-hand", 1)?;
    let mark = stage.mark();
    let mut raw = Raw::open(&stage.servers(), "by hand")?;
    let producer = raw.producer()?;
    let batches: Vec<_> = (0..)
        .zip(payments(count))
        .map(|(sequence, payment)| Batch::new(producer, sequence, &[payment]))
        .collect();
    for batch in &batches {
        let _ = raw.produce("by-hand", 0, batch)?;
    }
    // UnifiedLog.analyzeAndValidateProducerState looks for a batch with the same range of numbers among
    // ProducerStateEntry.NUM_BATCHES_TO_RETAIN; what it does not find goes to
    // ProducerAppendInfo.checkSequence, and is out of order there.
    let second = raw.produce("by-hand", 0, &batches[1])?;
    let first = raw.produce("by-hand", 0, &batches[0])?;
    stage.wire(mark, text!("Requests written by hand", "직접 만든 요청"))?;
    stage.log("by-hand", 0)?;
    let stored = stage.broker().records("by-hand", 0).len();
    stage.claim(
        "remembered",
        second == Ok(1) && stored == count,
        text!(
            "The second of six is one of the last five: the broker recognised it, stored nothing, and \
             answered with its old offset.",
            "여섯 개 중 두 번째는 최근 다섯 개에 들어 있습니다. 브로커는 그것을 알아보고, 아무것도 \
             저장하지 않고, 원래 오프셋으로 응답했습니다."
        ),
    )?;
    stage.claim(
        "forgotten",
        first == Err(ResponseError::OutOfOrderSequenceNumber),
        text!(
            "The first of six is known no more. The broker stored nothing, but its answer is \
             OUT_OF_ORDER_SEQUENCE_NUMBER: the producer cannot tell that its batch is in the log, and has to \
             report an error. With five in flight, whatever is sent again is known.",
            "여섯 개 중 첫 번째는 더 이상 기억하지 못합니다. 브로커는 아무것도 저장하지 않았지만 \
             OUT_OF_ORDER_SEQUENCE_NUMBER로 응답합니다. 프로듀서는 그 배치가 로그에 있다는 것을 알 수 없어 \
             오류를 보고할 수밖에 없습니다. 전송 중인 배치가 다섯 개까지라면 다시 보내는 것은 모두 알아볼 수 있습니다."
        ),
    )
}
