//! A database beside Kafka: two commits are not one.

use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::payments;
use crate::chapter::Mutation;
use crate::receiver::Receiver;
use crate::stage::Stage;
use crate::table::Table;
use crate::text::text;
use crate::transactions::Transactions;
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "database",
    title: || {
        text!(
            "What transactions do not cover: a database",
            "트랜잭션이 보장하지 않는 것: 데이터베이스"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation { setting: "crash", value: "never", breaks: &["doubled", "lost"] },
        Mutation { setting: "offset", value: "in Kafka", breaks: &["held"] },
    ],
    play,
};

/// A small database: its tables are one file, and a transaction replaces it by a new one, or not.
struct Database {
    folder: PathBuf,
}

/// The tables.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tables {
    payments: Vec<String>,
    /// The offset of the next payment to read.
    next_offset: i64,
}

impl Database {
    fn path(&self) -> PathBuf {
        self.folder.join("tables.json")
    }

    fn failed(&self) -> impl Fn(std::io::Error) -> LabError {
        let path = self.path();
        move |source| LabError::Database { path: path.clone(), source }
    }

    fn tables(&self) -> Result<Tables, LabError> {
        let failed = self.failed();
        match std::fs::read(self.path()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tables::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// All of a change, or nothing of it.
    fn transaction(&self, change: impl FnOnce(&mut Tables)) -> Result<(), LabError> {
        let failed = self.failed();
        let mut tables = self.tables()?;
        change(&mut tables);
        let bytes = serde_json::to_vec(&tables).map_err(|error| failed(error.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(&failed)?;
        file.write_all(&bytes).map_err(&failed)?;
        file.as_file().sync_all().map_err(&failed)?;
        file.persist(self.path()).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// What an application does first for each payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The row, then the offset in a transaction of Kafka's.
    RowFirst,
    /// The other way round.
    OffsetFirst,
    /// Both in one transaction of the database.
    Together,
}

/// Runs an application to the end of the payments, or until it crashes at the first payment after one
/// of its two commits.
fn run(
    stage: &Stage<'_>,
    (name, order): (&str, Order),
    database: &Database,
    crashes: bool,
) -> Result<(), LabError> {
    let insert = |payment: &str| database.transaction(|t| t.payments.push(payment.to_owned()));
    if order == Order::Together {
        let receiver = Receiver::open(&stage.servers(), name, "payments", &[])?;
        for payment in receiver.read_from(database.tables()?.next_offset)? {
            database.transaction(|tables| {
                // Another process may have been here: its offset says so.
                if tables.next_offset == payment.offset {
                    tables.payments.push(payment.value);
                    tables.next_offset = payment.offset + 1;
                }
            })?;
            if crashes {
                break;
            }
        }
        return Ok(());
    }
    let producer = Transactions::open(stage.broker(), name)?;
    let receiver = Receiver::open(&stage.servers(), name, "payments", &[])?;
    for payment in receiver.read_from(receiver.committed()?)? {
        if order == Order::RowFirst {
            insert(&payment.value)?;
            if crashes {
                break;
            }
        }
        producer.begin()?;
        producer.add_offset(&receiver, payment.offset + 1)?;
        producer.commit()?;
        if order == Order::OffsetFirst {
            if crashes {
                break;
            }
            insert(&payment.value)?;
        }
    }
    Ok(())
}

/// Lets an application crash and begin again, and shows what is in its database then.
fn act(
    stage: &mut Stage<'_>,
    (name, order): (&str, Order),
    crashes: bool,
    label: Text,
) -> Result<Outcome, LabError> {
    let meant = payments(2);
    let folder = tempfile::tempdir()?;
    let database = Database { folder: folder.path().to_owned() };
    let mark = stage.mark();
    run(stage, (name, order), &database, crashes)?;
    run(stage, (name, order), &database, false)?;
    stage.wire(
        mark,
        text!("Requests and answers of both runs", "두 번 실행하는 동안의 요청과 응답"),
    )?;
    let rows = database.tables()?.payments;
    let caption =
        text!("The table \"payments\" of the database", "데이터베이스의 \"payments\" 테이블");
    let cells = rows.iter().map(|row| vec![row.clone()]).collect();
    stage.table(Table::new(caption, &["payment"], cells))?;
    let outcome = Outcome::compare(label, &meant, &rows);
    stage.outcome(outcome.clone())?;
    Ok(outcome)
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "For each payment, an application inserts a row into a database, and commits the offset of \
         the payment in a Kafka transaction. This transaction cannot contain the row. So there are \
         two commits, and the application can crash between them. (Here the database is a file: \
         its transactions replace the whole file, or change nothing.)",
        "애플리케이션이 결제마다 데이터베이스에 행을 하나 추가하고, 결제의 오프셋을 Kafka \
         트랜잭션으로 커밋합니다. Kafka 트랜잭션에 데이터베이스의 행을 넣을 수는 없습니다. 그래서 \
         커밋이 두 번 일어나고, 애플리케이션은 그 사이에 죽을 수 있습니다. (여기서 데이터베이스는 \
         파일 하나입니다. 데이터베이스 트랜잭션은 파일 전체를 교체하거나 아무것도 바꾸지 \
         않습니다.)"
    ))?;
    let meant = payments(2);
    stage.broker().create_topic("payments", 1)?;
    let records = meant.iter().map(|payment| (Some("shop"), Some(payment.as_str()), 0));
    stage.broker().append("payments", 0, records)?;
    two_commits(stage)?;
    one_commit(stage)
}

fn two_commits(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let crashes = stage.setting("crash", "between the commits") != "never";
    stage.part(text!("The row first, then the offset", "행 먼저, 오프셋 나중"))?;
    let label = text!("The row first", "행 먼저");
    let outcome = act(stage, ("row-first", Order::RowFirst), crashes, label)?;
    stage.claim(
        "doubled",
        outcome.verdict() == Verdict::Doubled && outcome.doubled == ["payment 1"],
        text!(
            "The row of payment 1 was inserted, but its offset was not committed. After the \
             restart, the row was inserted again.",
            "payment 1의 행은 추가되었지만 오프셋은 커밋되지 않았습니다. 그래서 다시 시작한 뒤 \
             행이 한 번 더 추가되었습니다."
        ),
    )?;
    stage.part(text!("The offset first, then the row", "오프셋 먼저, 행 나중"))?;
    let label = text!("The offset first", "오프셋 먼저");
    let outcome = act(stage, ("offset-first", Order::OffsetFirst), crashes, label)?;
    stage.claim(
        "lost",
        outcome.verdict() == Verdict::Lost && outcome.lost == ["payment 1"],
        text!(
            "The offset of payment 1 was committed, but its row was not inserted yet. It never \
             will be.",
            "payment 1의 오프셋은 커밋되었지만 행은 아직 추가되지 않은 상태였습니다. 이 행은 영영 \
             추가되지 않습니다."
        ),
    )
}

fn one_commit(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!(
        "The solution: the offset in the database",
        "해결책: 오프셋을 데이터베이스에 저장"
    ))?;
    stage.tell(text!(
        "The application stores the next offset with the row, in one transaction of the database. \
         After a restart, it begins at this offset. It commits no offset to Kafka. In the same \
         transaction, it checks that the stored offset is still the one it expects. So a process \
         that was thought dead cannot insert anything twice either. Where rows have a key, an \
         upsert with a key made of topic, partition and offset does the same.",
        "애플리케이션이 다음에 읽을 오프셋을 행과 함께 데이터베이스의 한 트랜잭션으로 저장하고, \
         다시 시작하면 그 오프셋부터 읽습니다. Kafka에는 오프셋을 커밋하지 않습니다. 같은 \
         트랜잭션에서 저장된 오프셋이 예상한 값인지도 확인하므로, 죽은 줄 알았던 프로세스가 \
         깨어나도 행을 두 번 추가할 수 없습니다. 행에 키가 있다면 토픽, 파티션, 오프셋으로 만든 \
         키로 upsert해도 같은 효과를 얻습니다."
    ))?;
    let order = match stage.setting("offset", "in the database") {
        "in Kafka" => Order::RowFirst,
        _ => Order::Together,
    };
    let label = text!("The offset with the row", "행과 함께 저장한 오프셋");
    let outcome = act(stage, ("together", order), true, label)?;
    stage.claim(
        "held",
        outcome.verdict() == Verdict::Held,
        text!(
            "There is only one commit, so the application cannot crash between two. Each payment \
             has one row.",
            "커밋이 하나뿐이므로 두 커밋 사이에 죽을 일이 없습니다. 결제마다 행이 하나씩 있습니다."
        ),
    )
}
