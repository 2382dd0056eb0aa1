//! What guarantees cost is measured on the embedded broker: all that was asked for is told, every
//! record is accounted for, and no topic stays.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_lab::cost::{Batches, CostError, Costs, Plan};

/// A broker of one node.
fn broker() -> Broker {
    Broker::builder().start_blocking().unwrap()
}

/// Few records, and each producer twice.
fn plan(broker: &Broker) -> Plan {
    Plan::new(broker.bootstrap_servers())
        .records(300)
        .paced(2_000, Duration::from_millis(60))
        .rounds(2)
        .partitions(3)
        .commit_intervals([10, 40].map(Duration::from_millis))
}

fn measure(plan: &Plan) -> Result<Costs, CostError> {
    plan.run(&mut |_| ())
}

fn topics(broker: &Broker) -> Vec<String> {
    broker.view().partitions.into_iter().map(|partition| partition.topic).collect()
}

const PRODUCERS: [&str; 5] =
    ["acks=1", "acks=all", "idempotent", "transactions of 10 ms", "transactions of 40 ms"];

#[test]
fn each_producer_is_measured_and_told_in_table_json_and_plot() {
    let broker = broker();
    let mut progress = Vec::new();
    let costs = plan(&broker).run(&mut |made| progress.push(made.clone())).unwrap();

    let variants: Vec<_> =
        costs.measurements.iter().map(|m| m.variant.delivery.to_string()).collect();
    assert_eq!(variants, [PRODUCERS, PRODUCERS].concat());
    // The round that warms up is told too.
    assert_eq!(progress.len(), 3 * 2 * PRODUCERS.len());
    for measurement in &costs.measurements {
        let name = measurement.variant.to_string();
        assert_eq!(measurement.runs.len(), 2, "{name}");
        for run in &measurement.runs {
            assert!(run.records_per_second > 0.0 && run.megabytes_per_second > 0.0, "{name}");
            assert!(run.acknowledged.p50_ms > 0.0, "{name}");
            assert!(run.acknowledged.p50_ms <= run.acknowledged.p99_ms, "{name}");
            let is_transactional = measurement.variant.delivery.is_transactional();
            assert_eq!(run.committed.is_some(), is_transactional, "{name}");
            assert!(run.counted().p50_ms >= run.acknowledged.p50_ms, "{name}");
            #[cfg(target_os = "linux")]
            assert!(run.cpu_seconds_per_million.unwrap() > 0.0, "{name}");
        }
    }

    let table = costs.table();
    let rows =
        table.lines().filter(|line| line.starts_with("| small") || line.starts_with("| large"));
    assert_eq!(rows.count(), 10, "{table}");
    assert!(
        table.contains("300 records of 100 bytes") && table.contains("3 partitions"),
        "{table}"
    );
    let json = costs.json();
    assert_eq!(json["conditions"]["min_insync_replicas"], "1");
    assert_eq!(json["measurements"].as_array().unwrap().len(), 10);
    assert_eq!(json["measurements"][0]["settings"]["acks"], "1");
    assert_eq!(json["measurements"][9]["commit_interval_ms"], 40);
    let runs = &json["measurements"][9]["figures"]["committed_p99_ms"]["runs"];
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let svg = costs.svg();
    for name in PRODUCERS {
        assert!(table.contains(name), "{table}");
        // In three plots, each of small and of large batches.
        assert_eq!(svg.matches(&format!(">{name}</text>")).count(), 6, "{svg}");
    }
    // A bar and its line for each.
    assert_eq!(svg.matches("class=\"spread\"").count(), 30, "{svg}");
    assert_eq!(topics(&broker), [""; 0]);
}

#[test]
fn the_broker_sees_what_each_producer_promises() {
    let broker = broker();
    let plan = plan(&broker).rounds(1).batches([Batches::Large]);
    let requests = broker.requests().len();
    measure(&plan.clone().commit_intervals([Duration::from_secs(1)])).unwrap();
    let requests = broker.requests().split_off(requests);
    let count = |api| requests.iter().filter(|request| request.api == api).count();
    // One for the idempotent producer and one for the transactional, in each of two rounds.
    assert_eq!(count(Api::InitProducerId), 4);
    // One for the first records, one at full speed, one at the pace.
    assert_eq!(count(Api::EndTxn), 2 * 3);
}

#[test]
fn a_shorter_interval_commits_more_often() {
    let broker = broker();
    let commits = |commit_ms| {
        let before = broker.requests().len();
        let plan = plan(&broker).rounds(1).batches([Batches::Small]);
        measure(
            &plan
                .paced(1_000, Duration::from_millis(300))
                .commit_intervals([Duration::from_millis(commit_ms)]),
        )
        .unwrap();
        let requests = broker.requests().split_off(before);
        requests.iter().filter(|request| request.api == Api::EndTxn).count()
    };
    let (often, seldom) = (commits(20), commits(5_000));
    assert!(seldom == 6 && often > seldom, "{often} and {seldom}");
}

#[test]
fn a_record_that_is_doubled_is_an_error_and_leaves_no_topic() {
    let broker = broker();
    let faults = broker.faults();
    faults
        .add(Fault::on(Api::Produce).client_id("oncestream-cost").nth(1).then(Action::LoseAnswer));
    let error = measure(&plan(&broker)).unwrap_err();
    let CostError::Miscounted { sent, acknowledged, lost: 0, doubled, .. } = error else {
        panic!("{error}");
    };
    assert!(sent == acknowledged && doubled > 0, "{error}");
    assert!(error.to_string().starts_with("acks=1, small batches: "), "{error}");
    assert_eq!(topics(&broker), [""; 0]);
}

#[test]
fn a_lost_answer_to_the_creation_or_deletion_of_a_topic_is_no_failure() {
    let broker = broker();
    for api in [Api::CreateTopics, Api::DeleteTopics] {
        broker.faults().add(Fault::on(api).nth(1).then(Action::LoseAnswer));
    }
    let plan = plan(&broker).rounds(1).batches([Batches::Large]);
    measure(&plan).unwrap();
    let lost = broker.requests().into_iter().filter(|request| request.fault.is_some());
    assert_eq!(lost.count(), 2);
    assert_eq!(topics(&broker), [""; 0]);
}

#[test]
fn a_broker_that_is_not_there_is_named_soon() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let begun = Instant::now();
    let error = measure(&Plan::new(&address)).unwrap_err();
    assert!(matches!(error, CostError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn what_cannot_be_measured_is_refused_with_its_name() {
    let broker = broker();
    let before = broker.requests().len();
    for (wrong, what) in [
        (plan(&broker).records(0), "records"),
        (plan(&broker).record_bytes(7), "bytes of a record"),
        (plan(&broker).record_bytes(2_000_000), "bytes of a record"),
        (plan(&broker).rounds(0), "rounds"),
        (plan(&broker).partitions(0), "partitions"),
        (plan(&broker).paced(0, Duration::from_secs(1)), "pace"),
        (plan(&broker).batches([]), "batches"),
        (plan(&broker).commit_intervals([Duration::ZERO]), "commit intervals"),
    ] {
        let error = measure(&wrong).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    for key in ["acks", "linger.ms", "enable.idempotence"] {
        let error = plan(&broker).client_setting(key, "1").unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    let unknown = plan(&broker).client_setting("compresion.type", "lz4").unwrap();
    let error = measure(&unknown).unwrap_err().to_string();
    assert!(error.contains("compresion.type"), "{error}");
    assert_eq!(broker.requests().len(), before);
    // What no producer differs in is taken.
    let compressed = plan(&broker).client_setting("compression.type", "lz4").unwrap();
    measure(&compressed.rounds(1).batches([Batches::Large])).unwrap();
}

#[test]
fn a_stop_deletes_the_topic() {
    let broker = broker();
    // It would take minutes.
    let plan = plan(&broker).paced(100, Duration::from_secs(300));
    let stopper = plan.clone();
    let running = std::thread::spawn(move || measure(&plan));
    let until = Instant::now() + Duration::from_secs(60);
    while !topics(&broker).iter().any(|topic| topic.starts_with("oncestream-cost-")) {
        assert!(Instant::now() < until, "no topic was made");
        std::thread::sleep(Duration::from_millis(5));
    }
    stopper.stop();
    let error = running.join().unwrap().unwrap_err();
    assert!(matches!(error, CostError::Stopped), "{error}");
    assert_eq!(topics(&broker), [""; 0]);
    assert!(matches!(measure(&stopper), Err(CostError::Stopped)));
}
