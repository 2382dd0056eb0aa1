//! A worker turned by hand, where no application can be brought to the state in question.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_core::graph::Graph;
use oncestream_core::{SubTopologyId, TaskId};
use oncestream_engine::topics;
use oncestream_engine::worker::{Shared, Worker};
use oncestream_operators::StreamsBuilder;
use tokio::runtime::Runtime;

use super::*;
use crate::clients::Admin;
use crate::config::ProcessingGuarantee;

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 20;
const TASK: TaskId = TaskId { sub_topology: SubTopologyId(0), partition: 0 };

/// What the workers of an instance share that counts records, and has an empty disk.
fn instance(broker: &Broker, runtime: &Runtime) -> Arc<Shared<KafkaPorts>> {
    let builder = StreamsBuilder::new();
    let counts = builder.stream::<String, String>("in").group_by_key();
    counts.count("counts").to_stream().to("out");
    let graph = Graph::of(&builder.build().unwrap()).clone();
    let config = StreamsConfig::builder("app", broker.bootstrap_servers())
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .set("state.backend", "memory")
        .and_then(|config| config.set("instance.id", "one"))
        .unwrap()
        .build()
        .unwrap();
    let state_dir = StateDir::open(&config).unwrap();
    let config = config.with_instance_id(state_dir.instance_id.clone());
    let admin = Arc::new(Admin::new(&config).unwrap());
    let cluster = KafkaCluster::new(config.clone(), admin.clone(), runtime.handle().clone());
    let there = admin.topics().unwrap();
    let wanted = topics::plan(&graph, "app", None, &cluster, &there).unwrap();
    runtime.block_on(admin.ensure(&wanted, config.replication_factor())).unwrap();
    Arc::new(Shared {
        settings: config.worker_settings(),
        topology: graph,
        ports: KafkaPorts::new(config, cluster, state_dir),
        stop: Arc::default(),
        on_worker_state: Box::new(|_, _| {}),
    })
}

type Turned = Worker<KafkaPorts>;

fn turn_until(worker: &mut Turned, what: &str, is_so: impl Fn(&Turned) -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so(worker) {
        assert!(Instant::now() < until, "waited in vain for {what}");
        worker.turn().unwrap();
    }
}

fn is_running(worker: &Turned) -> bool {
    worker.is_settled() && worker.tasks().next().is_some()
}

/// The worker that claimed it may be one that has not learnt yet that it lost its membership: then
/// nobody else would process the partition.
#[test]
fn a_task_that_another_worker_claims_during_its_restore_is_started_again() {
    let runtime = Runtime::new().unwrap();
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("in", 1).unwrap();
    broker.create_topic("out", 1).unwrap();
    let records = |from: usize| {
        (from..from + RECORDS).map(|n| (Some(n.to_string()), Some("v".to_owned()), 1))
    };
    broker.append("in", 0, records(0)).unwrap();
    let mut first = Worker::new(0, instance(&broker, &runtime)).unwrap().unwrap();
    turn_until(&mut first, "the first commit", |worker| worker.commits() > 0);
    first.close(Ok(())).unwrap();
    drop(first);

    // The restore of the next instance, whose disk is empty, waits for its first records.
    let reads = Fault::on(Api::Fetch).client_id("app-one-worker-0-restore-consumer");
    let reads = broker.faults().add(reads.then(Action::DelayUntilRemoved));
    let shared = instance(&broker, &runtime);
    let mut second = Worker::new(0, shared.clone()).unwrap().unwrap();
    turn_until(&mut second, "the restore to begin", |_| broker.faults().fired(reads) > 0);
    shared.ports.stores().claim(TASK, 1);
    assert!(broker.faults().remove(reads));
    turn_until(&mut second, "the task to run", is_running);

    broker.append("in", 0, records(RECORDS)).unwrap();
    turn_until(&mut second, "a commit", |worker| worker.commits() > 0);
    second.close(Ok(())).unwrap();
    let changelog = broker.records("app-counts-changelog", 0);
    let written = changelog.iter().filter(|record| record.control.is_none() && !record.aborted);
    assert_eq!(written.count(), 2 * RECORDS, "each key was counted once");
}
