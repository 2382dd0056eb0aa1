//! What a broker knows of producers, in a file, and after a restart.

mod file;

use kafka_protocol::ResponseError;
use oncestream_broker::ProducerView;
use oncestream_inspect::snapshot::ProducerSnapshot;
use rdkafka::producer::Producer as _;

use self::file::{entry, of_fields, view};
use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, failed, read};
use crate::raw::{Batch, Raw};
use crate::stage::{LIMIT, Stage};
use crate::table::Table;
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "producer-snapshot",
    title: || {
        text!(
            "The snapshot file: what a broker knows of producers, and after a restart",
            "스냅샷 파일: 브로커가 프로듀서에 대해 아는 것, 그리고 재시작 이후"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "file", value: "damaged", breaks: &["field-by-field", "last-only"] },
        Mutation { setting: "restart", value: "without the file", breaks: &["last-known", "held"] },
    ],
    play,
};

const TOPIC: &str = "payments";

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "Two producers write to a partition. The first one is idempotent, and has sent two \
         batches: one record, then three. The second one is transactional, and its transaction is \
         still open.",
        "프로듀서 두 개가 한 파티션에 씁니다. 첫 번째는 멱등 프로듀서이며, 레코드 한 개짜리 배치와 \
         세 개짜리 배치를 보냈습니다. 두 번째는 트랜잭션 프로듀서이며, 트랜잭션이 아직 열려 \
         있습니다."
    ))?;
    stage.broker().create_topic(TOPIC, 1)?;
    let mark = stage.mark();
    let mut raw = Raw::open(&stage.servers(), "by hand")?;
    let producer = raw.producer()?;
    let meant = payments(5);
    let first = Batch::new(producer, 0, &meant[..1]);
    let last = Batch::new(producer, 1, &meant[1..4]);
    for batch in [&first, &last] {
        let _ = raw.produce(TOPIC, 0, batch)?;
    }
    let shop = Sender::open(&stage.servers(), "shop", &[("transactional.id", "shop")])?;
    shop.client().init_transactions(LIMIT).map_err(failed("shop"))?;
    shop.client().begin_transaction().map_err(failed("shop"))?;
    shop.deliver(TOPIC, 0, &meant[4])?;
    stage.log(TOPIC, 0)?;
    let known = known(stage);
    stage.table(Table::of_producers(stage.broker(), TOPIC, 0))?;

    let parsed = write_and_read(stage, &known)?;
    restart(stage, parsed)?;

    let mut raw = Raw::open(&stage.servers(), "by hand")?;
    let last = raw.produce(TOPIC, 0, &last)?;
    let first = raw.produce(TOPIC, 0, &first)?;
    shop.client().commit_transaction(LIMIT).map_err(failed("shop"))?;
    // The marker may come after the answer to the commit.
    stage.wait_for("the COMMIT marker", |broker| {
        let view = broker.view();
        let found = view.partition(TOPIC, 0);
        found.is_some_and(|found| found.last_stable_offset == found.high_watermark)
    })?;
    stage.wire(
        mark,
        text!(
            "Before the restart; then the last batch again, and the one before it",
            "재시작 이전의 요청, 그리고 다시 보낸 마지막 배치와 그 앞의 배치"
        ),
    )?;
    stage.log(TOPIC, 0)?;
    judge(stage, first, last, &meant)
}

fn known(stage: &Stage<'_>) -> Vec<ProducerView> {
    let view = stage.broker().view();
    view.partition(TOPIC, 0).map(|found| found.producers.clone()).unwrap_or_default()
}

/// Writes what the broker knows as Apache Kafka does, and reads it again: nothing if it is damaged.
fn write_and_read(
    stage: &mut Stage<'_>,
    known: &[ProducerView],
) -> Result<Option<ProducerSnapshot>, LabError> {
    let end = stage.broker().view().partition(TOPIC, 0).map_or(0, |found| found.high_watermark);
    // LogFileUtils.producerSnapshotFile names it so: the state is that before this offset.
    let name = format!("{end:020}.snapshot");
    stage.tell(text!(
        "A broker of Apache Kafka writes this state to a file in the directory of the partition \
         when it stops cleanly, and when it begins a new segment of the log. The file {name} holds \
         the state before the offset in its name. The embedded broker has no files, so the lab \
         writes one in the same format.",
        "Apache Kafka 브로커는 정상 종료할 때와 새 로그 세그먼트를 시작할 때 이 상태를 파티션 \
         디렉터리의 파일에 기록합니다. {name} 파일에는 이름에 적힌 오프셋 직전까지의 상태가 들어 \
         있습니다. 내장 브로커에는 파일이 없으므로, 실습에서 같은 형식의 파일을 대신 씁니다."
    ))?;
    let snapshot = ProducerSnapshot::new(known.iter().map(entry).collect());
    let mut bytes = snapshot.to_bytes();
    if stage.setting("file", "whole") == "damaged"
        && let Some(byte) = bytes.last_mut()
    {
        *byte ^= 1;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(&name);
    std::fs::write(&path, &bytes)?;
    let parsed = ProducerSnapshot::read(&path).ok();
    for table in of_fields(&std::fs::read(&path)?, &snapshot) {
        stage.table(table)?;
    }
    let same = parsed.as_ref().is_some_and(|parsed| {
        let views: Vec<_> = parsed.producers.iter().map(view).collect();
        views == known && ProducerSnapshot::offset_in_name(&path) == Some(end)
    });
    stage.claim(
        "field-by-field",
        same,
        text!(
            "When the file is read again, it says about each producer exactly what the broker \
             knew: its last batch, and where its open transaction began.",
            "파일을 다시 읽으면 브로커가 프로듀서마다 알던 내용이 그대로 나옵니다. 마지막 배치와 \
             열린 트랜잭션이 시작된 위치입니다."
        ),
    )?;
    Ok(parsed)
}

fn restart(stage: &mut Stage<'_>, parsed: Option<ProducerSnapshot>) -> Result<(), LabError> {
    stage.tell(text!(
        "The broker is restarted. About producers, it now knows only what the file says. Apache \
         Kafka also reads the log after the offset of the snapshot, but after a clean stop there \
         is none. If the checksum of a file is wrong, Apache Kafka deletes the file, and reads an \
         older one and more of the log instead.",
        "브로커를 재시작합니다. 이제 브로커는 프로듀서에 대해 파일에 적힌 것만 압니다. Apache \
         Kafka는 스냅샷 오프셋 이후의 로그도 읽지만, 정상 종료했다면 그런 로그는 없습니다. 파일의 \
         체크섬이 맞지 않으면 그 파일을 삭제하고, 더 오래된 스냅샷 파일과 그 이후의 로그를 대신 \
         읽습니다."
    ))?;
    // ProducerStateManager.loadFromSnapshot, and UnifiedLog.rebuildProducerState for what comes after.
    stage.broker().stop_node(1)?;
    if stage.setting("restart", "with the file") == "with the file" {
        // Without a file that can be read, what was in the log is known: nothing changes.
        if let Some(parsed) = parsed {
            let views: Vec<_> = parsed.producers.iter().map(view).collect();
            stage.broker().restore_producers(TOPIC, 0, &views);
        }
    } else {
        stage.broker().forget_producers(TOPIC, 0);
    }
    stage.broker().start_node(1)?;
    Ok(())
}

fn judge(
    stage: &mut Stage<'_>,
    first: Result<i64, ResponseError>,
    last: Result<i64, ResponseError>,
    meant: &[String],
) -> Result<(), LabError> {
    stage.claim(
        "last-known",
        last == Ok(1),
        text!(
            "The last batch came again after the restart, and the broker recognised it. It stored \
             nothing, and answered with the old offset.",
            "재시작한 뒤에도 브로커는 다시 온 마지막 배치를 알아보았습니다. 아무것도 저장하지 않고 \
             원래 오프셋으로 응답했습니다."
        ),
    )?;
    stage.claim(
        "last-only",
        first == Err(ResponseError::OutOfOrderSequenceNumber),
        text!(
            "The broker did not recognise the batch before it. In memory, a broker keeps five \
             batches of each producer, but the file has only the last one.",
            "그 앞의 배치는 알아보지 못했습니다. 브로커의 메모리에는 프로듀서마다 배치 다섯 개가 \
             있지만, 파일에는 마지막 배치 하나만 있기 때문입니다."
        ),
    )?;
    let seen = read(stage.broker(), TOPIC, "read_committed")?;
    let label = text!("Sent again after the broker's restart", "브로커 재시작 후 다시 보냄");
    let outcome = Outcome::compare(label, meant, &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!(
            "Each payment is there once. The open transaction outlived the restart, and was \
             committed.",
            "모든 결제가 정확히 한 번씩 있습니다. 열려 있던 트랜잭션은 재시작한 뒤에도 유지되어 \
             커밋되었습니다."
        ),
    )
}
