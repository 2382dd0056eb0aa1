//! At least once: a lost acknowledgement doubles a message.

use oncestream_broker::{Action, Api, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, read};
use crate::stage::Stage;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "at-least-once",
    title: || {
        text!(
            "At least once: a lost acknowledgement doubles a message",
            "최소 한 번: 응답이 유실되면 메시지가 두 번 저장된다"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "enable.idempotence", value: "true", breaks: &["doubled"] },
        Mutation { setting: "retries", value: "0", breaks: &["told", "doubled"] },
    ],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "A producer sends three payments. The broker stores the second one, but the connection \
         breaks before its acknowledgement arrives. The producer cannot know whether the request \
         or the answer was lost, so it sends the payment again.",
        "프로듀서가 결제 세 건을 보냅니다. 브로커는 두 번째 결제를 저장하지만, 응답(ack)이 \
         도착하기 전에 연결이 끊깁니다. 프로듀서는 요청이 유실되었는지 응답이 유실되었는지 알 수 \
         없으므로 결제를 다시 보냅니다."
    ))?;
    let idempotence = stage.setting("enable.idempotence", "false");
    let retries = stage.setting("retries", "10");
    stage.code(&format!("acks = all\nretries = {retries}\nenable.idempotence = {idempotence}"))?;

    stage.broker().create_topic("payments", 1)?;
    stage.broker().faults().add(Fault::on(Api::Produce).nth(2).then(Action::LoseAnswer));
    let mark = stage.mark();
    let settings = [("acks", "all"), ("retries", retries), ("enable.idempotence", idempotence)];
    let producer = Sender::open(&stage.servers(), "shop", &settings)?;
    let meant = payments(3);
    let mut delivered = true;
    for payment in &meant {
        delivered &= producer.deliver("payments", 0, payment)?.outcome.is_ok();
    }

    stage.wire(
        mark,
        text!("Requests and answers of the producer \"shop\"", "프로듀서 \"shop\"의 요청과 응답"),
    )?;
    stage.log("payments", 0)?;
    stage.claim(
        "told",
        delivered,
        text!(
            "The producer was told that each payment is stored.",
            "프로듀서는 모든 결제가 저장되었다는 응답을 받았습니다."
        ),
    )?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("Retries without idempotence", "멱등성 없는 재시도");
    let outcome = Outcome::compare(label, &meant, &seen);
    let doubled = outcome.verdict() == Verdict::Doubled && outcome.doubled == ["payment 2"];
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        doubled,
        text!(
            "Nothing is lost, but payment 2 is in the log twice, and every reader sees it twice.",
            "유실된 것은 없지만 payment 2가 로그에 두 번 저장되어 있고, 모든 컨슈머가 두 번 \
             읽습니다."
        ),
    )
}
