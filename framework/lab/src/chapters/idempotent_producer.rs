//! The idempotent producer: the broker knows what it has seen.

use oncestream_broker::{Action, Api, Fault};

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, read};
use crate::stage::Stage;
use crate::table::Table;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "idempotent-producer",
    title: || {
        text!(
            "The idempotent producer: the broker knows what it has seen",
            "멱등 프로듀서: 브로커는 이미 받은 것을 안다"
        )
    },
    nodes: 1,
    mutations: &[Mutation {
        setting: "enable.idempotence",
        value: "false",
        breaks: &["same-offset", "numbered", "held"],
    }],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "The producer sends the same three payments, and the same acknowledgement is lost. This \
         time, it first asks the broker for a producer id (InitProducerId). It then numbers the \
         messages that it sends to each partition. For each producer, the leader of a partition \
         remembers the numbers of the last five batches.",
        "이번에도 결제 세 건을 보내고, 두 번째 결제의 응답(ack)이 유실됩니다. 다만 이번에는 \
         프로듀서가 먼저 브로커에 프로듀서 ID를 요청하고(InitProducerId), 파티션마다 보내는 \
         메시지에 시퀀스 번호를 붙입니다. 파티션의 리더는 프로듀서마다 최근 배치 다섯 개의 시퀀스 \
         번호를 기억합니다."
    ))?;
    let idempotence = stage.setting("enable.idempotence", "true");
    stage.code(&format!("enable.idempotence = {idempotence}    # implies acks=all and retries"))?;

    stage.broker().create_topic("payments", 1)?;
    let lost = stage.broker().faults().add(Fault::on(Api::Produce).nth(2).then(Action::LoseAnswer));
    let mark = stage.mark();
    let settings = [("enable.idempotence", idempotence)];
    let producer = Sender::open(&stage.servers(), "shop", &settings)?;
    let meant = payments(3);
    let mut offsets = Vec::new();
    for payment in &meant {
        offsets.push(producer.deliver("payments", 0, payment)?.outcome.ok());
    }
    let retried = stage.broker().faults().fired(lost) == 1;

    stage.wire(
        mark,
        text!("Requests and answers of the producer \"shop\"", "프로듀서 \"shop\"의 요청과 응답"),
    )?;
    stage.claim(
        "same-offset",
        retried && offsets == [Some((0, 0)), Some((0, 1)), Some((0, 2))],
        text!(
            "Sequence number 1 came twice. The second time, the broker stored nothing, and \
             answered with the offset of the first time.",
            "시퀀스 번호 1이 두 번 도착했습니다. 두 번째에는 브로커가 아무것도 저장하지 않고, 처음 \
             저장했을 때의 오프셋으로 응답했습니다."
        ),
    )?;
    stage.log("payments", 0)?;
    stage.table(Table::of_producers(stage.broker(), "payments", 0))?;
    let numbers: Vec<i32> =
        stage.broker().records("payments", 0).iter().map(|record| record.sequence).collect();
    stage.claim(
        "numbered",
        numbers == [0, 1, 2],
        text!(
            "In the log, each record has the producer id and a sequence number, and no number is \
             missing.",
            "로그의 레코드마다 프로듀서 ID와 시퀀스 번호가 있고, 빠진 번호는 없습니다."
        ),
    )?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("Retries with idempotence", "멱등성 있는 재시도");
    let outcome = Outcome::compare(label, &meant, &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!("Each payment is there once.", "모든 결제가 정확히 한 번씩 있습니다."),
    )
}
