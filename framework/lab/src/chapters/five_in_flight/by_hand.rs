//! Why five: requests written by hand, which no library would send.

use kafka_protocol::ResponseError;

use crate::LabError;
use crate::chapters::payments;
use crate::raw::{Batch, Raw};
use crate::stage::Stage;
use crate::text::text;

pub(super) fn the_broker_remembers_five(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "Why five? For each producer, the broker keeps the numbers of the last five batches. \
         Suppose a producer sent six, the broker stored all of them, and no acknowledgement \
         arrived. No library would send that, so the lab writes the requests by hand: six batches, \
         then the second one again, and then the first one again.",
        "왜 다섯 개일까요? 브로커는 프로듀서마다 최근 배치 다섯 개의 시퀀스 번호를 기억합니다. \
         프로듀서가 여섯 개를 보냈고 브로커가 모두 저장했지만 응답(ack)이 하나도 도착하지 않았다고 \
         해 봅시다. 이렇게 보내는 라이브러리는 없으므로 요청을 직접 만듭니다. 배치 여섯 개를 \
         보내고, 두 번째 배치를 다시 보낸 뒤, 첫 번째 배치를 다시 보냅니다."
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
            "The second of the six batches is one of the last five. The broker recognised it, \
             stored nothing, and answered with its old offset.",
            "여섯 개 중 두 번째 배치는 최근 다섯 개에 들어 있습니다. 브로커는 이 배치를 알아보고, \
             아무것도 저장하지 않은 채 원래 오프셋으로 응답했습니다."
        ),
    )?;
    stage.claim(
        "forgotten",
        first == Err(ResponseError::OutOfOrderSequenceNumber),
        text!(
            "The broker no longer knows the first of the six batches. It stored nothing, but it \
             answered with OUT_OF_ORDER_SEQUENCE_NUMBER. The producer cannot tell from this that \
             the batch is in the log, so it has to report an error. With at most five in flight, \
             the broker knows every batch that is sent again.",
            "여섯 개 중 첫 번째 배치는 브로커가 더 이상 기억하지 못합니다. 브로커는 아무것도 \
             저장하지 않았지만 OUT_OF_ORDER_SEQUENCE_NUMBER로 응답했습니다. 프로듀서는 이 \
             응답만으로는 배치가 이미 로그에 있다는 것을 알 수 없으므로 오류를 보고할 수밖에 \
             없습니다. 전송 중인 배치가 다섯 개 이하라면 브로커는 다시 온 배치를 모두 알아봅니다."
        ),
    )
}
