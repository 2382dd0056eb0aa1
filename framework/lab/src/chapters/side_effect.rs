//! A side effect in the function happens again.

use std::collections::BTreeSet;

use super::payments;
use crate::chapter::Mutation;
use crate::clients::read;
use crate::receiver::Receiver;
use crate::stage::Stage;
use crate::table::Table;
use crate::text::text;
use crate::transactions::Transactions;
use crate::{Chapter, LabError, Outcome, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "side-effect",
    title: || {
        text!(
            "What transactions do not cover: a side effect",
            "트랜잭션이 보장하지 않는 것: 부수 효과(side effect)"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "crash", value: "never", breaks: &["mailed-twice"] },
        Mutation {
            setting: "isolation.level",
            value: "read_uncommitted",
            breaks: &["receipts-held"],
        },
        Mutation { setting: "idempotency key", value: "none", breaks: &["mailed-once"] },
    ],
    play,
};

/// A server that sends mails, outside of Kafka. It remembers the keys that it was given.
#[derive(Debug, Default)]
struct MailServer {
    asked: Vec<(String, String)>,
    known: BTreeSet<String>,
    sent: Vec<String>,
}

impl MailServer {
    /// Sends a mail; with a key that it knows already, it does nothing.
    fn send(&mut self, key: Option<String>, mail: &str) {
        self.asked.push((key.clone().unwrap_or_else(|| "-".to_owned()), mail.to_owned()));
        if key.is_none_or(|key| self.known.insert(key)) {
            self.sent.push(mail.to_owned());
        }
    }

    fn table(&self) -> Table {
        let rows = self.asked.iter().map(|(key, mail)| vec![key.clone(), mail.clone()]);
        let sent = self.sent.len();
        let caption = text!(
            "The requests to the mail server, which sent {sent} mails",
            "메일 서버가 받은 요청(보낸 메일 {sent}통)"
        );
        Table::new(caption, &["idempotency key", "mail"], rows.collect())
    }
}

/// An application that mails each payment and writes a receipt of it, in one transaction.
#[derive(Debug, Clone, Copy)]
struct Mailer {
    /// Its group, its `transactional.id` and its `client.id`.
    name: &'static str,
    receipts: &'static str,
    with_key: bool,
}

impl Mailer {
    /// Runs to the end of the payments, or crashes before it commits.
    fn run(
        self,
        stage: &Stage<'_>,
        server: &mut MailServer,
        crashes: bool,
    ) -> Result<(), LabError> {
        let producer = Transactions::open(stage.broker(), self.name)?;
        let receiver = Receiver::open(&stage.servers(), self.name, "payments", &[])?;
        let mut next = receiver.committed()?;
        producer.begin()?;
        for payment in receiver.read_from(next)? {
            let key = self.with_key.then(|| format!("payments-0-{}", payment.offset));
            server.send(key, &payment.value);
            producer.send(self.receipts, &payment.key, &payment.value)?;
            next = payment.offset + 1;
        }
        producer.add_offset(&receiver, next)?;
        // Its clients are gone now without a word to the broker.
        if crashes { Ok(()) } else { producer.commit() }
    }
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let meant = payments(2);
    stage.broker().create_topic("payments", 1)?;
    let records = meant.iter().map(|payment| (Some("shop"), Some(payment.as_str()), 0));
    stage.broker().append("payments", 0, records)?;
    doubled(stage, &meant)?;
    held(stage, &meant)
}

fn doubled(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.tell(text!(
        "For each payment, an application sends a mail and writes a receipt. Receipts and offsets \
         are in one transaction. The mail is not, because the mail server knows nothing of Kafka. \
         The application crashes before it commits, and is started again.",
        "애플리케이션이 결제마다 메일을 보내고 영수증을 씁니다. 영수증과 오프셋은 한 트랜잭션에 \
         들어가지만, 메일 서버는 Kafka를 모르므로 메일은 트랜잭션에 들어가지 않습니다. \
         애플리케이션이 커밋하기 전에 죽고, 다시 시작됩니다."
    ))?;
    stage.broker().create_topic("receipts", 1)?;
    let crashes = stage.setting("crash", "before the commit") != "never";
    let mailer = Mailer { name: "mailer", receipts: "receipts", with_key: false };
    let mut server = MailServer::default();
    let mark = stage.mark();
    mailer.run(stage, &mut server, crashes)?;
    stage.wire(mark, text!("Until the crash: no EndTxn", "죽기 전: EndTxn이 없음"))?;
    let mark = stage.mark();
    mailer.run(stage, &mut server, false)?;
    super::settled(stage, None, "receipts")?;
    stage.wire(
        mark,
        text!(
            "After the restart: InitProducerId aborts the open transaction, and the application \
             reads the same payments again",
            "다시 시작한 뒤: InitProducerId가 열린 트랜잭션을 중단하고, 애플리케이션은 같은 결제를 \
             다시 읽음"
        ),
    )?;
    let isolation = stage.setting("isolation.level", "read_committed");
    let receipts = read(stage.broker(), "receipts", isolation)?;
    let outcome = Outcome::compare(text!("Receipts in Kafka", "Kafka의 영수증"), meant, &receipts);
    let holds = outcome.verdict() == Verdict::Held;
    stage.outcome(outcome)?;
    stage.claim(
        "receipts-held",
        holds,
        text!(
            "In Kafka, all is well: each receipt is there once.",
            "Kafka 안에서는 문제가 없습니다. 모든 영수증이 정확히 한 번씩 있습니다."
        ),
    )?;
    stage.table(server.table())?;
    let outcome = Outcome::compare(text!("Mails", "메일"), meant, &server.sent);
    let doubled = outcome.verdict() == Verdict::Doubled && outcome.doubled == meant;
    stage.outcome(outcome)?;
    stage.claim(
        "mailed-twice",
        doubled,
        text!(
            "The abort took the receipts back, but not the mails. Each customer got two.",
            "트랜잭션이 중단(abort)되어 영수증은 취소되었지만, 이미 보낸 메일은 취소되지 \
             않았습니다. 고객마다 메일을 두 통씩 받았습니다."
        ),
    )
}

fn held(stage: &mut Stage<'_>, meant: &[String]) -> Result<(), LabError> {
    stage.part(text!("The solution: a key from the offset", "해결책: 오프셋으로 만든 키"))?;
    stage.tell(text!(
        "Topic, partition and offset identify a record, and they are the same each time it is \
         processed. The application gives them to the mail server as a key, and the server does \
         nothing for a key that it knows. A consumer of the committed receipts could also send the \
         mails. Then no mail is sent for an aborted receipt. But it needs the same key, because \
         it, too, can crash between sending a mail and committing its offset.",
        "토픽, 파티션, 오프셋은 레코드를 식별하며, 몇 번을 다시 처리해도 같습니다. 애플리케이션이 \
         이 값을 키로 넘기면 메일 서버는 이미 아는 키의 요청을 무시합니다. 커밋된 영수증을 읽는 \
         컨슈머가 메일을 보내게 할 수도 있습니다. 그러면 중단된 영수증에 대한 메일은 나가지 \
         않습니다. 하지만 그 컨슈머도 메일 전송과 오프셋 커밋 사이에 죽을 수 있으므로 같은 키가 \
         필요합니다."
    ))?;
    stage.broker().create_topic("keyed-receipts", 1)?;
    let with_key = stage.setting("idempotency key", "topic, partition, offset") != "none";
    let mailer = Mailer { name: "keyed-mailer", receipts: "keyed-receipts", with_key };
    let mut server = MailServer::default();
    mailer.run(stage, &mut server, true)?;
    mailer.run(stage, &mut server, false)?;
    stage.table(server.table())?;
    let label = text!("Mails with a key", "키가 있는 메일");
    let outcome = Outcome::compare(label, meant, &server.sent);
    let holds = outcome.verdict() == Verdict::Held && server.asked.len() == 2 * meant.len();
    stage.outcome(outcome)?;
    stage.claim(
        "mailed-once",
        holds,
        text!(
            "After the same crash, the server was asked twice for each mail, but sent it once.",
            "똑같이 죽었다가 다시 시작했지만, 메일 서버는 메일마다 요청을 두 번 받고도 한 번씩만 \
             보냈습니다."
        ),
    )
}
