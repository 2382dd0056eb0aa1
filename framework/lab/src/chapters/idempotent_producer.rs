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
        "The same three payments, and the same acknowledgement is lost. This time the producer first \
         asks the broker for a producer id (InitProducerId), and numbers what it sends to each \
         partition. The broker remembers the numbers of the last five batches of each producer.",
        "같은 결제 세 건이고, 같은 응답이 사라집니다. 이번에는 프로듀서가 먼저 브로커에 프로듀서 \
         ID를 요청하고(InitProducerId), 파티션마다 보내는 메시지에 시퀀스 번호를 붙입니다. 브로커는 \
         프로듀서마다 최근 배치 다섯 개의 번호를 기억합니다."
    ))?;
    let idempotence = stage.setting("enable.idempotence", "true");
    stage.code(&format!("enable.idempotence = {idempotence}    # acks=all and retries follow"))?;

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
            "Sequence 1 came twice. The second time, the broker stored nothing and answered with the \
             offset of the first time.",
            "시퀀스 1이 두 번 도착했습니다. 두 번째에 브로커는 아무것도 저장하지 않고 처음 저장했던 \
             오프셋으로 응답했습니다."
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
            "In the log, each record has the producer's id and a sequence number without a gap.",
            "로그의 각 레코드에는 프로듀서 ID와 빈틈 없는 시퀀스 번호가 있습니다."
        ),
    )?;
    let seen = read(stage.broker(), "payments", "read_committed")?;
    let label = text!("Retries with idempotence", "멱등성이 있는 재시도");
    let outcome = Outcome::compare(label, &meant, &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!("Each payment is there once.", "모든 결제가 정확히 한 번 있습니다."),
    )
}
