//! Why five: requests written by hand, which no library would send.

use kafka_protocol::ResponseError;

use crate::LabError;
use crate::chapters::payments;
use crate::raw::{Batch, Raw};
use crate::stage::Stage;
use crate::text::text;

pub(super) fn the_broker_remembers_five(stage: &mut Stage<'_>) -> Result<(), LabError> {
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
