//! Consume, transform, produce: a bare loop and a topology, both killed in the middle.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oncestream_broker::{Action, Api, Fault};

use crate::chapter::Mutation;
use crate::excerpt::excerpt;
use crate::receiver::Receiver;
use crate::stage::{Mark, Stage};
use crate::table::Table;
use crate::text::text;
use crate::worker::{Role, Worker};
use crate::workers::{topology, transfer};
use crate::{Chapter, LabError, Outcome, Text, Verdict};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "consume-transform-produce",
    title: || {
        text!(
            "Consume, transform, produce: killed in the middle",
            "consume-transform-produce: 중간에 강제 종료"
        )
    },
    nodes: 1,
    mutations: &[
        Mutation {
            setting: "transactional",
            value: "false",
            breaks: &["loop-aborted", "loop-held"],
        },
        Mutation {
            setting: "processing.guarantee",
            value: "at_least_once",
            breaks: &["topology-aborted", "topology-held"],
        },
    ],
    play,
};

/// Payments arrive in hundreds.
const HUNDRED: i64 = 100;

/// An application, how its processes are started, and what it writes.
struct Application {
    role: Role,
    /// Its consumer group.
    group: &'static str,
    /// Its name, and the topic that it writes to.
    output: &'static str,
    /// The topic that it reads.
    input: &'static str,
    /// It commits with this request.
    commit: Api,
    label: Text,
    /// The names of its claims.
    claims: (&'static str, &'static str),
}

fn play(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.tell(text!(
        "An application reads payments, encodes key and value of each with Base64, and writes the \
         result to another topic. It commits output and offsets in one transaction. It comes in \
         two forms: a bare loop on the clients of librdkafka, and a topology of Oncestream. Each \
         is a process of its own, and SIGKILL ends it while it commits the third hundred of \
         payments.",
        "애플리케이션이 결제를 읽어 키와 값을 Base64로 인코딩하고 결과를 다른 토픽에 씁니다. \
         출력과 오프셋은 한 트랜잭션으로 커밋합니다. 같은 애플리케이션을 두 가지로 만들었습니다. \
         하나는 librdkafka 클라이언트로 직접 작성한 루프이고, 다른 하나는 Oncestream \
         토폴로지입니다. 둘 다 별도의 프로세스이며, 세 번째 100건을 커밋하는 도중에 SIGKILL로 강제 \
         종료됩니다."
    ))?;
    bare_loop(stage)?;
    five_lines(stage)
}

fn bare_loop(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("A bare loop", "직접 작성한 루프"))?;
    stage.code(&excerpt(transfer::SOURCE, "loop"))?;
    stage.tell(text!(
        "The loop calls the first function for each message, and the second one after every 100 \
         messages. The rest of its code opens the clients, waits for deliveries, and gives up what \
         is not committed when its partitions are taken away.",
        "루프는 메시지마다 첫 번째 함수를, 100건마다 두 번째 함수를 호출합니다. 나머지 코드는 \
         클라이언트를 열고, 전송 결과를 기다리고, 파티션이 회수되면 커밋하지 않은 것을 버립니다."
    ))?;
    let transactional = stage.setting("transactional", "true");
    let settings = [
        ("client.id", "loop"),
        ("group", "loop"),
        ("input", "payments-for-loop"),
        ("output", "encoded-by-loop"),
        ("transactional", transactional),
        ("commit_every", "100"),
        ("transform", "base64"),
    ];
    let application = Application {
        role: transfer::role(stage.servers(), &settings),
        group: "loop",
        input: "payments-for-loop",
        output: "encoded-by-loop",
        commit: if transactional == "true" { Api::EndTxn } else { Api::OffsetCommit },
        label: text!("The bare loop", "직접 작성한 루프"),
        claims: ("loop-aborted", "loop-held"),
    };
    run(stage, &application)
}

fn five_lines(stage: &mut Stage<'_>) -> Result<(), LabError> {
    stage.part(text!("An Oncestream topology", "Oncestream 토폴로지"))?;
    stage.code(&excerpt(topology::SOURCE, "topology"))?;
    let guarantee = stage.setting("processing.guarantee", "exactly_once");
    let folder = tempfile::tempdir()?;
    let state_dir = folder.path().to_string_lossy();
    let shown = [
        ("processing.guarantee", guarantee),
        ("commit.interval.ms", "100"),
        ("instance.id", "1"),
        // It has no store, so nothing needs to be on disk.
        ("state.backend", "memory"),
    ];
    let lines = shown.map(|(key, value)| format!("{key} = {value}"));
    stage.code(&lines.join("\n"))?;
    stage.tell(text!(
        "Oncestream does not count records: when commit.interval.ms has passed, it commits what it \
         has processed. The runtime does the rest of the loop. instance.id is part of the \
         transactional.id, so the restarted process is known as the same producer. With a backend \
         on disk, Oncestream keeps an id of its own in state.dir.",
        "Oncestream은 레코드 수를 세지 않습니다. commit.interval.ms가 지나면 그때까지 처리한 것을 \
         커밋합니다. 루프의 나머지 일은 런타임이 맡습니다. instance.id는 transactional.id의 \
         일부이므로, 다시 시작한 프로세스는 같은 프로듀서로 인식됩니다. 디스크 백엔드를 쓰면 \
         Oncestream이 직접 만든 ID를 state.dir에 보관합니다."
    ))?;
    let own = [("client.id", "encoder"), ("state.dir", state_dir.as_ref())];
    let configuration = [&shown[..], &own[..]].concat();
    let application = Application {
        role: topology::role(stage.servers(), &configuration),
        group: topology::APPLICATION_ID,
        input: "payments",
        output: "encoded-by-topology",
        commit: if guarantee == "exactly_once" { Api::EndTxn } else { Api::OffsetCommit },
        label: text!("The topology", "토폴로지"),
        claims: ("topology-aborted", "topology-held"),
    };
    run(stage, &application)
}

/// Lets an application work, kills it in its third hundred, and lets another process end the work.
fn run(stage: &mut Stage<'_>, application: &Application) -> Result<(), LabError> {
    let Application { group, input, output, .. } = *application;
    stage.broker().create_topic(input, 1)?;
    stage.broker().create_topic(output, 1)?;
    let mut arrived = 0;
    let mut meant = Vec::new();
    let mut hundred_arrives = |stage: &Stage<'_>| {
        let numbers = arrived + 1..=arrived + HUNDRED;
        arrived += HUNDRED;
        let records = numbers.map(|n| (format!("customer {}", n % 7), format!("payment {n}")));
        let records: Vec<_> = records.collect();
        meant.extend(records.iter().map(|(key, value)| encoded(key, value)));
        let records =
            records.iter().map(|(key, value)| (Some(key.as_str()), Some(value.as_str()), 1));
        stage.broker().append(input, 0, records)
    };
    let mut first = Worker::start(stage.lab(), &application.role)?;
    hundred_arrives(stage)?;
    stage.wait_for_commit(group, input, HUNDRED)?;
    let mark = stage.mark();
    hundred_arrives(stage)?;
    stage.wait_for_commit(group, input, 2 * HUNDRED)?;
    wait_for_answer(stage, mark, application.commit)?;
    stage.wire(mark, text!("One commit: the second hundred", "커밋 한 번: 두 번째 100건"))?;

    let lost = Fault::on(application.commit).then(Action::Drop);
    let lost = stage.broker().faults().add(lost);
    hundred_arrives(stage)?;
    stage.wait_for("the third commit", |broker| broker.faults().fired(lost) == 1)?;
    first.check()?;
    first.kill();
    stage.tell(text!(
        "The process has written its third hundred, and is killed while it commits: its commit \
         request never arrives. Kafka would wait for session.timeout.ms, but the lab takes the \
         dead member out of the group at once, and starts a new process. A fourth hundred arrives.",
        "프로세스는 세 번째 100건을 쓰고 커밋하는 도중에 강제 종료됩니다. 커밋 요청은 도착하지 \
         못합니다. Kafka라면 session.timeout.ms가 지날 때까지 기다리지만, 실습에서는 죽은 멤버를 \
         바로 그룹에서 제외하고 새 프로세스를 시작합니다. 그리고 네 번째 100건이 들어옵니다."
    ))?;
    stage.expire_members(group);
    hundred_arrives(stage)?;
    let mut second = Worker::start(stage.lab(), &application.role)?;
    stage.wait_for_commit(group, input, 4 * HUNDRED)?;
    super::settled(stage, None, output)?;
    second.check()?;
    second.kill();
    judge(stage, application, &meant)
}

fn judge(
    stage: &mut Stage<'_>,
    application: &Application,
    meant: &[String],
) -> Result<(), LabError> {
    let output = application.output;
    stage.table(Table::of_runs(stage.broker(), output, 0))?;
    let records = stage.broker().records(output, 0);
    let aborted = records.iter().filter(|record| record.aborted).count();
    let ids: BTreeSet<_> = records.iter().map(|r| r.producer.map(|(id, _)| id)).collect();
    stage.claim(
        application.claims.0,
        aborted > 0 && ids.len() == 1,
        text!(
            "The killed process had written {aborted} records. They are in the log, and an ABORT \
             marker follows them. The new process got the same producer id with a higher epoch, \
             and with that the coordinator aborted the open transaction.",
            "강제 종료된 프로세스가 쓴 레코드 {aborted}건은 로그에 남아 있지만 그 뒤에 ABORT \
             마커가 있습니다. 새 프로세스가 같은 프로듀서 ID를 더 높은 에포크로 받을 때, \
             코디네이터가 열려 있던 트랜잭션을 중단(abort)했습니다."
        ),
    )?;
    let settings = [("isolation.level", "read_committed")];
    let reader = Receiver::open(&stage.servers(), "reader", output, &settings)?;
    let seen: Vec<_> = reader.read_from(0)?.into_iter().map(|r| pair(&r.key, &r.value)).collect();
    let outcome = Outcome::compare(application.label.clone(), meant, &seen);
    let held = outcome.verdict() == Verdict::Held && seen == meant;
    stage.outcome(outcome)?;
    stage.claim(
        application.claims.1,
        held,
        text!(
            "A reader with read_committed sees all 400 encoded payments, each once and in order.",
            "read_committed 컨슈머는 인코딩된 결제 400건을 모두 순서대로 정확히 한 번씩 읽습니다."
        ),
    )
}

/// The commit shows in the group before its answer is made, which belongs into the diagram.
fn wait_for_answer(stage: &Stage<'_>, mark: Mark, commit: Api) -> Result<(), LabError> {
    stage.wait_for("the answer to the commit", |_| {
        let requests = stage.requests(mark);
        let last = requests.iter().rfind(|request| request.api == commit);
        last.is_some_and(|request| request.answered_at.is_some())
    })
}

fn pair(key: &str, value: &str) -> String {
    format!("{key} {value}")
}

fn encoded(key: &str, value: &str) -> String {
    pair(&BASE64_STANDARD.encode(key), &BASE64_STANDARD.encode(value))
}
