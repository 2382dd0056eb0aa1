//! The zombie and the epoch: who has the transactional.id may write, and only the newest of them.

use oncestream_broker::Api;
use rdkafka::producer::Producer as _;

use super::payments;
use crate::chapter::Mutation;
use crate::clients::{Sender, failed, read};
use crate::stage::{LIMIT, Stage};
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "zombie",
    title: || text!("The zombie and the epoch", "좀비 프로듀서와 에포크"),
    nodes: 1,
    mutations: &[Mutation {
        setting: "transactional.id",
        value: "another",
        breaks: &["epoch", "late-record", "late-commit", "held"],
    }],
    play,
};

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "A producer with a transactional.id stops in the middle of a transaction. It is taken for \
         dead, and a second producer with the same transactional.id is started. If the first one \
         then wakes up, it is a zombie: it believes that the work is still its own.",
        "transactional.id를 가진 프로듀서가 트랜잭션 도중에 멈춥니다. 이 프로듀서가 죽었다고 \
         판단되어, 같은 transactional.id를 가진 두 번째 프로듀서가 시작됩니다. 그 뒤에 첫 번째 \
         프로듀서가 깨어나면 좀비가 됩니다. 그 일을 여전히 자기가 맡고 있다고 믿기 때문입니다."
    ))?;
    stage.broker().create_topic("payments", 1)?;
    let successor_id = match stage.setting("transactional.id", "the same") {
        "the same" => "till",
        _ => "another-till",
    };
    let old = the_successor_begins(stage, successor_id)?;
    the_zombie_writes(stage, &old)?;
    the_zombie_commits(stage, successor_id)?;

    let seen = read(stage.broker(), "payments", "read_committed")?;
    let outcome = Outcome::compare(text!("With an epoch", "에포크로 펜싱"), &payments(3), &seen);
    let held = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "held",
        held,
        text!(
            "Each payment is there once. An idempotent producer without a transactional.id gets a \
             new producer id at every start, so nobody can tell whose successor it is. Idempotence \
             alone does not stop zombies (see the chapter idempotence-limits).",
            "모든 결제가 정확히 한 번씩 있습니다. transactional.id가 없는 멱등 프로듀서는 시작할 \
             때마다 새 프로듀서 ID를 받으므로, 어느 프로듀서의 뒤를 이었는지 아무도 알 수 \
             없습니다. 멱등성만으로는 좀비를 막지 못합니다(idempotence-limits 장 참고)."
        ),
    )
}

fn open(stage: &Stage<'_>, name: &str, id: &str) -> Result<Sender, LabError> {
    let sender = Sender::open(&stage.servers(), name, &[("transactional.id", id)])?;
    sender.client().init_transactions(LIMIT).map_err(failed(name))?;
    sender.client().begin_transaction().map_err(failed(name))?;
    Ok(sender)
}

/// The old producer stands still after its first payment; the new one writes both. Answers the old one.
fn the_successor_begins(stage: &mut Stage<'_>, id: &str) -> Result<Sender, LabError> {
    let mark = stage.mark();
    let old = open(stage, "old", "till")?;
    old.deliver("payments", 0, "payment 1")?;
    let new = open(stage, "new", id)?;
    new.deliver("payments", 0, "payment 1")?;
    new.deliver("payments", 0, "payment 2")?;
    new.client().commit_transaction(LIMIT).map_err(failed("new"))?;
    stage.wait_for_end(id)?;
    stage.wire(
        mark,
        text!("\"old\" stands still, \"new\" takes over", "\"old\"가 멈추고 \"new\"가 이어받는다"),
    )?;
    stage.log("payments", 0)?;
    let records = stage.broker().records("payments", 0);
    let first = records.first().and_then(|record| record.producer);
    let last = records.last().and_then(|record| record.producer);
    let raised = match (first, last) {
        (Some((old_id, old_epoch)), Some((new_id, new_epoch))) => {
            old_id == new_id && new_epoch > old_epoch
        }
        _ => false,
    };
    let aborted = records.first().is_some_and(|record| record.aborted);
    stage.claim(
        "epoch",
        raised && aborted,
        text!(
            "When InitProducerId arrives, a transaction of this transactional.id is still open. \
             The coordinator raises the epoch, which shuts the old producer out, and aborts the \
             transaction. Until the markers are written, it answers CONCURRENT_TRANSACTIONS. Then \
             the new producer gets the same producer id with the next epoch.",
            "InitProducerId가 도착했을 때 이 transactional.id의 트랜잭션이 아직 열려 있습니다. \
             코디네이터는 에포크를 올려 이전 프로듀서를 차단하고 트랜잭션을 중단(abort)합니다. \
             마커가 기록될 때까지는 CONCURRENT_TRANSACTIONS로 응답합니다. 그 뒤에 새 프로듀서는 \
             같은 프로듀서 ID를 그다음 에포크로 받습니다."
        ),
    )?;
    Ok(old)
}

fn the_zombie_writes(stage: &mut Stage<'_>, old: &Sender) -> Result<(), LabError> {
    stage.part(text!("The zombie writes", "좀비가 쓴다"))?;
    stage.tell(text!(
        "The old producer wakes up, sends payment 2, and commits.",
        "이전 프로듀서가 깨어나 payment 2를 보내고 커밋합니다."
    ))?;
    let before = stage.broker().records("payments", 0).len();
    let mark = stage.mark();
    let since = stage.broker().request_count();
    let delivery = old.deliver("payments", 0, "payment 2")?;
    let commit = old.client().commit_transaction(LIMIT);
    let told = match &commit {
        Ok(()) => "Ok".to_owned(),
        Err(error) => error.to_string(),
    };
    stage.wire(mark, text!("\"old\" wakes up", "\"old\"가 깨어난다"))?;
    stage.code(&format!("commit_transaction() -> {told}"))?;
    let stored = stage.broker().records("payments", 0).len() > before;
    let refused = refusal(stage, since, Api::Produce);
    stage.claim(
        "late-record",
        refused.as_deref() == Some("INVALID_PRODUCER_EPOCH")
            && delivery.outcome.is_err()
            && commit.is_err()
            && !stored,
        text!(
            "The broker knows the newer epoch, and refuses the record with INVALID_PRODUCER_EPOCH. \
             For librdkafka this is a fatal error (_FENCED), and it does not even send the commit.",
            "브로커는 더 새로운 에포크를 알고 있으므로 레코드를 INVALID_PRODUCER_EPOCH로 \
             거부합니다. librdkafka는 이를 치명적(fatal) 오류(_FENCED)로 처리하고 커밋 요청은 \
             보내지도 않습니다."
        ),
    )
}

fn the_zombie_commits(stage: &mut Stage<'_>, successor_id: &str) -> Result<(), LabError> {
    stage.part(text!("The zombie commits", "좀비가 커밋한다"))?;
    stage.tell(text!(
        "Another producer writes payment 3, and stops just before its commit. Its successor does \
         the work again. Then the first one wakes up as a zombie.",
        "또 다른 프로듀서가 payment 3을 쓰고 커밋 직전에 멈춥니다. 뒤를 이은 프로듀서가 그 일을 \
         다시 합니다. 그 뒤에 먼저 멈춘 프로듀서가 좀비로 깨어납니다."
    ))?;
    let old = open(stage, "late", "till")?;
    old.deliver("payments", 0, "payment 3")?;
    let new = open(stage, "next", successor_id)?;
    new.deliver("payments", 0, "payment 3")?;
    new.client().commit_transaction(LIMIT).map_err(failed("next"))?;
    stage.wait_for_end(successor_id)?;
    let mark = stage.mark();
    let since = stage.broker().request_count();
    let commit = old.client().commit_transaction(LIMIT);
    stage.wire(mark, text!("\"late\" commits", "\"late\"가 커밋한다"))?;
    let refused = refusal(stage, since, Api::EndTxn);
    stage.log("payments", 0)?;
    stage.claim(
        "late-commit",
        refused.as_deref() == Some("INVALID_PRODUCER_EPOCH") && commit.is_err(),
        text!(
            "The coordinator refuses the commit, because its epoch is not the newest. The Java \
             client sends a newer version of the request (KIP-588), and would be told \
             PRODUCER_FENCED. librdkafka sends an older version, and gets INVALID_PRODUCER_EPOCH.",
            "코디네이터는 에포크가 최신이 아니므로 커밋을 거부합니다. 더 새로운 요청 \
             버전(KIP-588)을 쓰는 Java 클라이언트라면 PRODUCER_FENCED를 받습니다. 이전 버전을 쓰는 \
             librdkafka는 INVALID_PRODUCER_EPOCH를 받습니다."
        ),
    )
}

/// The error with which the first request of this kind was answered.
fn refusal(stage: &Stage<'_>, since: u64, api: Api) -> Option<String> {
    let requests = stage.broker().requests();
    requests.iter().find(|r| r.number > since && r.api == api)?.error_name()
}
