//! An output on another cluster: two transactions are not one.

use std::collections::BTreeSet;

use oncestream_broker::Broker;

use super::payments;
use crate::chapter::Mutation;
use crate::receiver::Receiver;
use crate::stage::{Mark, Stage};
use crate::table::Table;
use crate::text::text;
use crate::transactions::Transactions;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "another-cluster",
    title: || {
        text!(
            "What transactions do not cover: another cluster",
            "트랜잭션이 보장하지 않는 것: 다른 클러스터"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "crash", value: "never", breaks: &["doubled"] },
        Mutation { setting: "id", value: "none", breaks: &["read-once"] },
        Mutation { setting: "offsets", value: "on the source cluster", breaks: &["held"] },
    ],
    play,
};

/// Where a copy crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    /// Before the commit on the target cluster.
    Before,
    /// After it, and before anything else.
    After,
}

/// The topic on the target cluster that keeps the offsets of the source cluster.
const OFFSETS: &str = "source-offsets";

/// An application that copies payments to another cluster.
struct Copy<'a> {
    target: &'a Broker,
    /// Its group, its `transactional.id` and its `client.id`.
    name: &'static str,
    output: &'static str,
    /// Its offsets are in the transactions on the target cluster.
    offsets_on_target: bool,
    /// Each record is told by a key of its own.
    with_id: bool,
}

impl Copy<'_> {
    fn run(&self, stage: &Stage<'_>, crash: Crash) -> Result<(), LabError> {
        let producer = Transactions::open(self.target, self.name)?;
        let source = Receiver::open(&stage.servers(), self.name, "payments", &[])?;
        let next = if self.offsets_on_target { self.stored()? } else { source.committed()? };
        let records = source.read_from(next)?;
        let Some(next) = records.last().map(|record| record.offset + 1) else { return Ok(()) };
        producer.begin()?;
        for record in records {
            let id = format!("payments-0-{}", record.offset);
            let id = if self.with_id { id } else { String::new() };
            producer.send(self.output, &id, &record.value)?;
        }
        if self.offsets_on_target {
            producer.send(OFFSETS, "payments-0", &next.to_string())?;
        }
        if crash == Crash::Before {
            return Ok(());
        }
        producer.commit()?;
        if crash == Crash::After || self.offsets_on_target {
            return Ok(());
        }
        source.commit(next)
    }

    /// The last offset that was committed on the target cluster, or 0.
    fn stored(&self) -> Result<i64, LabError> {
        let settings = [("isolation.level", "read_committed")];
        let servers = self.target.bootstrap_servers();
        let offsets = Receiver::open(servers, self.name, OFFSETS, &settings)?.read_from(0)?;
        Ok(offsets.last().and_then(|record| record.value.parse().ok()).unwrap_or(0))
    }

    /// Keys and values that a consumer of the output reads.
    fn read(&self, stage: &Stage<'_>) -> Result<Vec<(String, String)>, LabError> {
        super::settled(stage, Some(self.target), self.output)?;
        let settings = [("isolation.level", "read_committed")];
        let servers = self.target.bootstrap_servers();
        let records = Receiver::open(servers, "reader", self.output, &settings)?.read_from(0)?;
        Ok(records.into_iter().map(|record| (record.key, record.value)).collect())
    }
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let meant = payments(2);
    stage.broker().create_topic("payments", 1)?;
    let records = meant.iter().map(|payment| (Some("shop"), Some(payment.as_str()), 0));
    stage.broker().append("payments", 0, records)?;
    let target = Broker::builder().start_blocking()?;
    two_clusters(stage, &target, &meant)?;
    offsets_on_target(stage, &target, &meant)
}

fn two_clusters(stage: &mut Stage<'_>, target: &Broker, meant: &[String]) -> Result<(), LabError> {
    stage.tell(text!(
        "An application reads payments from one cluster, and writes them in transactions to \
         another. A transaction lives on one cluster: its coordinator knows no partition and no \
         group of another. So the application first commits the copies on the target, and then the \
         offset on the source. It crashes between the two.",
        "애플리케이션이 한 클러스터에서 결제를 읽어 다른 클러스터에 트랜잭션으로 씁니다. \
         트랜잭션은 한 클러스터 안에서만 유효합니다. 트랜잭션 코디네이터는 다른 클러스터의 \
         파티션이나 그룹을 모르기 때문입니다. 그래서 애플리케이션은 먼저 타깃 클러스터에 복사본을 \
         커밋하고, 그다음 소스 클러스터에 오프셋을 커밋합니다. 애플리케이션이 이 둘 사이에 \
         죽습니다."
    ))?;
    target.create_topic("copies", 1)?;
    let crash = match stage.setting("crash", "between the commits") {
        "never" => Crash::Never,
        _ => Crash::After,
    };
    let with_id = stage.setting("id", "topic, partition, offset") != "none";
    let copy = Copy { target, name: "copier", output: "copies", offsets_on_target: false, with_id };
    let (on_source, on_target) = (stage.mark(), Mark::of(target));
    copy.run(stage, crash)?;
    copy.run(stage, Crash::Never)?;
    stage.wire(
        on_source,
        text!("The source cluster, in both runs", "두 번 실행하는 동안의 소스 클러스터"),
    )?;
    let caption = text!("The target cluster, in both runs", "두 번 실행하는 동안의 타깃 클러스터");
    stage.wire_of(target, on_target, caption)?;
    let seen = copy.read(stage)?;
    stage.table(Table::of_log(target, "copies", 0))?;
    let values: Vec<_> = seen.iter().map(|(_, value)| value.clone()).collect();
    let label = text!("Copies, as an ordinary consumer reads them", "일반 컨슈머가 읽은 복사본");
    let outcome = Outcome::compare(label, meant, &values);
    let doubled = outcome.verdict() == Verdict::Doubled && outcome.doubled == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "doubled",
        doubled,
        text!(
            "Both transactions on the target were committed, because the source did not know about \
             the first one.",
            "타깃 클러스터에서는 두 트랜잭션이 모두 커밋되었습니다. 소스 클러스터가 첫 번째 \
             트랜잭션을 몰랐기 때문입니다."
        ),
    )?;
    reader_with_ids(stage, meant, seen)
}

fn reader_with_ids(
    stage: &mut Stage<'_>,
    meant: &[String],
    seen: Vec<(String, String)>,
) -> Result<(), LabError> {
    stage.part(text!("Solution 1: the reader looks at ids", "해결책 1: 컨슈머가 ID를 확인"))?;
    stage.tell(text!(
        "The application gave each copy a key made of topic, partition and offset on the source. \
         The key is the same in both transactions. So a reader that remembers the keys it has seen \
         can drop the second copy. But every reader has to do so, and has to keep its keys safe.",
        "애플리케이션은 복사본마다 소스의 토픽, 파티션, 오프셋으로 만든 키를 붙였습니다. 이 키는 \
         두 트랜잭션에서 같으므로, 이미 본 키를 기억하는 컨슈머는 두 번째 복사본을 버릴 수 \
         있습니다. 다만 모든 컨슈머가 이렇게 해야 하고, 기억한 키를 안전하게 보관해야 합니다."
    ))?;
    let mut known = BTreeSet::new();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (id, value) in seen {
        let is_new = known.insert(id.clone());
        let remark = if is_new { "" } else { "dropped" };
        rows.push(vec![id, value.clone(), remark.to_owned()]);
        values.extend(is_new.then_some(value));
    }
    let caption = text!("What the reader does with each copy", "컨슈머가 복사본마다 하는 일");
    stage.table(Table::new(caption, &["key", "value", ""], rows))?;
    let label = text!("Copies, each id once", "ID마다 한 번만 읽은 복사본");
    let outcome = Outcome::compare(label, meant, &values);
    let holds = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "read-once",
        holds,
        text!(
            "The reader that drops the ids it has seen gets each payment once.",
            "이미 본 ID를 버리는 컨슈머는 모든 결제를 정확히 한 번씩 읽습니다."
        ),
    )
}

fn offsets_on_target(
    stage: &mut Stage<'_>,
    target: &Broker,
    meant: &[String],
) -> Result<(), LabError> {
    stage.part(text!(
        "Solution 2: the offsets are on the target",
        "해결책 2: 오프셋을 타깃 클러스터에 보관"
    ))?;
    stage.tell(text!(
        "The application writes the offset of the source to a topic on the target, in the same \
         transaction as the copies. After a restart, it begins at this offset. Kafka Connect does \
         so for source connectors with exactly.once.source.support=enabled (KIP-618). MirrorMaker \
         2 consists of source connectors, and can do the same. The application crashes once before \
         the commit, once after it, and then runs to the end.",
        "애플리케이션이 소스의 오프셋을 복사본과 같은 트랜잭션으로 타깃 클러스터의 토픽에 쓰고, \
         다시 시작하면 그 오프셋부터 읽습니다. Kafka Connect는 \
         exactly.once.source.support=enabled로 설정하면 소스 커넥터의 오프셋을 이렇게 \
         저장합니다(KIP-618). 소스 커넥터로 동작하는 MirrorMaker 2도 같은 방식을 쓸 수 있습니다. \
         애플리케이션은 한 번은 커밋 전에, 한 번은 커밋 후에 죽고, 마지막에는 끝까지 실행됩니다."
    ))?;
    target.create_topic("exact-copies", 1)?;
    target.create_topic(OFFSETS, 1)?;
    let offsets_on_target =
        stage.setting("offsets", "on the target cluster") != "on the source cluster";
    let copy = Copy {
        target,
        name: "exact-copier",
        output: "exact-copies",
        offsets_on_target,
        with_id: true,
    };
    copy.run(stage, Crash::Before)?;
    let mark = Mark::of(target);
    copy.run(stage, Crash::After)?;
    copy.run(stage, Crash::Never)?;
    let caption = text!(
        "The target cluster, in the second run and the third",
        "두 번째와 세 번째로 실행하는 동안의 타깃 클러스터"
    );
    stage.wire_of(target, mark, caption)?;
    stage.table(Table::of_log(target, OFFSETS, 0))?;
    let values: Vec<_> = copy.read(stage)?.into_iter().map(|(_, value)| value).collect();
    let label = text!("Copies with their offsets", "오프셋과 함께 커밋한 복사본");
    let outcome = Outcome::compare(label, meant, &values);
    let holds = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        holds,
        text!(
            "Copies and offset were committed together, so the third run found nothing to copy.",
            "복사본과 오프셋이 함께 커밋되었으므로, 세 번째 실행에서는 복사할 것이 없었습니다."
        ),
    )
}
