//! A transaction over several partitions is all or nothing.

use oncestream_broker::ControlKind;
use rdkafka::producer::Producer as _;

use crate::chapter::Mutation;
use crate::clients::{Sender, failed, read};
use crate::stage::{LIMIT, Stage};
use crate::text::text;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "all-or-nothing",
    title: || {
        text!(
            "A transaction over several partitions is all or nothing",
            "여러 파티션에 걸친 트랜잭션: 전부 아니면 전무"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "transactional.id", value: "none", breaks: &["whole", "markers"] },
        Mutation {
            setting: "isolation.level",
            value: "read_committed",
            breaks: &["read-uncommitted"],
        },
    ],
    play,
};

/// The shop's producer, with or without a `transactional.id`.
struct Shop {
    sender: Sender,
    transactional: bool,
}

impl Shop {
    fn open(stage: &Stage<'_>, name: &str, id: &'static str) -> Result<Self, LabError> {
        let transactional = id != "none";
        let settings: &[_] = if transactional { &[("transactional.id", id)] } else { &[] };
        let sender = Sender::open(&stage.servers(), name, settings)?;
        if transactional {
            sender.client().init_transactions(LIMIT).map_err(failed(name))?;
        }
        Ok(Self { sender, transactional })
    }

    fn begin(&self) -> Result<(), LabError> {
        let client = self.sender.client();
        if self.transactional {
            client.begin_transaction().map_err(failed("begin"))
        } else {
            Ok(())
        }
    }

    fn end(&self, stage: &Stage<'_>, commit: bool) -> Result<(), LabError> {
        let client = self.sender.client();
        match (self.transactional, commit) {
            (false, _) => Ok(()),
            (true, true) => client.commit_transaction(LIMIT).map_err(failed("commit")),
            (true, false) => client.abort_transaction(LIMIT).map_err(failed("abort")),
        }?;
        stage.wait_for_end("shop")
    }
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "A shop writes each payment to one topic and its receipt to another. Nobody may see a \
         payment without its receipt. The first pair is committed. The second pair is aborted \
         after both are written. In the third, the producer disappears after the payment, and \
         never writes the receipt.",
        "상점이 결제는 한 토픽에, 영수증은 다른 토픽에 씁니다. 영수증 없는 결제가 보여서는 안 \
         됩니다. 첫 번째 쌍은 커밋됩니다. 두 번째 쌍은 둘 다 쓴 뒤에 중단(abort)됩니다. 세 번째 \
         쌍에서는 프로듀서가 결제만 쓰고 사라져 영수증을 쓰지 못합니다."
    ))?;
    let id = stage.setting("transactional.id", "shop");
    stage.code(&format!("transactional.id = {id}    # implies enable.idempotence=true"))?;
    stage.broker().create_topic("payments", 1)?;
    stage.broker().create_topic("receipts", 1)?;

    two_transactions_and_a_half(stage, id)?;
    the_next_one_clears_up(stage, id)?;
    what_readers_see(stage)
}

fn two_transactions_and_a_half(stage: &mut Stage<'_>, id: &'static str) -> Result<(), LabError> {
    let mark = stage.mark();
    let shop = Shop::open(stage, "shop", id)?;
    shop.begin()?;
    shop.sender.deliver("payments", 0, "order 1")?;
    shop.sender.deliver("receipts", 0, "order 1")?;
    shop.end(stage, true)?;
    stage.wire(mark, text!("The first pair is committed", "첫 번째 쌍은 커밋된다"))?;

    let mark = stage.mark();
    shop.begin()?;
    shop.sender.deliver("payments", 0, "order 2")?;
    shop.sender.deliver("receipts", 0, "order 2")?;
    shop.end(stage, false)?;
    shop.begin()?;
    shop.sender.deliver("payments", 0, "order 3")?;
    drop(shop);
    stage.wire(
        mark,
        text!(
            "The second pair is aborted, the third is never finished",
            "두 번째 쌍은 중단되고, 세 번째 쌍은 끝나지 않는다"
        ),
    )
}

fn the_next_one_clears_up(stage: &mut Stage<'_>, id: &'static str) -> Result<(), LabError> {
    stage.tell(text!(
        "The shop starts again with the same transactional.id. Its InitProducerId makes the \
         coordinator abort the transaction that was left open. If the shop did not come back, the \
         coordinator would abort it after transaction.timeout.ms (one minute by default).",
        "상점이 같은 transactional.id로 다시 시작합니다. InitProducerId를 받은 코디네이터는 열려 \
         있던 트랜잭션을 중단합니다. 상점이 돌아오지 않더라도 transaction.timeout.ms(기본값 1분)가 \
         지나면 코디네이터가 트랜잭션을 중단합니다."
    ))?;
    let mark = stage.mark();
    // A client that has nothing to ask for sends nothing.
    let again = Shop::open(stage, "shop again", id)?;
    if !again.transactional {
        return Ok(());
    }
    stage.wire(mark, text!("The shop starts again", "상점이 다시 시작한다"))?;
    stage.wait_for_end("shop")
}

fn what_readers_see(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.log("payments", 0)?;
    stage.log("receipts", 0)?;
    let markers = |topic: &str| {
        let records = stage.broker().records(topic, 0);
        records.iter().filter_map(|record| record.control).collect::<Vec<_>>()
    };
    let (commit, abort) = (ControlKind::Commit, ControlKind::Abort);
    let marked =
        markers("payments") == [commit, abort, abort] && markers("receipts") == [commit, abort];
    stage.claim(
        "markers",
        marked,
        text!(
            "Each transaction ends with a marker in each partition that it wrote to. The \
             coordinator decides once, and the markers carry its decision to the partitions.",
            "트랜잭션은 자신이 쓴 파티션마다 마커 하나를 남기고 끝납니다. 코디네이터가 한 번 \
             결정하고, 마커가 그 결정을 각 파티션에 전달합니다."
        ),
    )?;
    let loose = stage.setting("isolation.level", "read_uncommitted");
    let everything =
        (read(stage.broker(), "payments", loose)?, read(stage.broker(), "receipts", loose)?);
    let (payments, receipts) = (everything.0.len(), everything.1.len());
    stage.claim(
        "read-uncommitted",
        payments == 3 && receipts == 2,
        text!(
            "A reader with read_uncommitted, which is the default of the Java consumer, sees \
             {payments} payments and {receipts} receipts, the aborted ones included.",
            "Java 컨슈머의 기본값인 read_uncommitted로 읽으면 결제 {payments}건과 영수증 \
             {receipts}건이 보입니다. 중단된 것까지 포함됩니다."
        ),
    )?;
    let payments = read(stage.broker(), "payments", "read_committed")?;
    let receipts = read(stage.broker(), "receipts", "read_committed")?;
    let meant = ["order 1".to_owned()];
    let label = text!("Receipts, by read_committed", "read_committed로 읽은 영수증");
    stage.outcome(Outcome::compare(label, &meant, &receipts))?;
    let label = text!("Payments, by read_committed", "read_committed로 읽은 결제");
    let outcome = Outcome::compare(label, &meant, &payments);
    let whole = outcome.verdict() == Verdict::Held && payments == meant && receipts == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "whole",
        whole,
        text!(
            "A reader with read_committed sees order 1 in both topics, and orders 2 and 3 in \
             neither.",
            "read_committed 컨슈머는 두 토픽에서 모두 order 1만 봅니다. order 2와 order 3은 어느 \
             토픽에서도 보이지 않습니다."
        ),
    )
}
