//! Changes of input topics, carried out: they grow, and new ones appear that a pattern matches.
//!
//! Invariant: a change is told to the feeder only when every node knows it, and then it is noted as
//! a fault. How an application takes it up is for the application alone.

use std::time::{Duration, Instant};

use oncestream_tests::kafka::client;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::faults::{BEGINNING, RECOVERY, Record};
use crate::nodes;
use crate::plan::{Kind, Plan, TopicFault};
use crate::watch::Watch;
use crate::workload::Workload;

/// How long brokers may refuse a change; they do while one of them is away.
const CHANGE: Duration = Duration::from_mins(5);
/// How long one request for a change may take.
const ANSWER: Duration = Duration::from_secs(5);
/// When a refused change is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often nodes are asked, and the end of the run is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Changes the inputs of an application until the run is over, or they are as large as may be.
///
/// # Errors
///
/// When a client cannot be made.
pub(crate) fn rage(
    mut plan: Plan,
    workload: &Workload,
    watch: &Watch,
    record: &Record,
) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client().create()?;
    // A crew tells if that does not come.
    watch.recovers(BEGINNING, RECOVERY);
    while let Some(next) = plan.next_topic(&workload.inputs.counts(), workload.takes()) {
        if !passes(Duration::from_millis(next.after_ms), record) {
            break;
        }
        let name = workload.inputs.name(next.topic);
        if let Err(why) = change(&admin, &name, &next) {
            record.problem(format!("{}: {} of {name}: {why}", workload.job, next.kind.name()));
            break;
        }
        let fault = record.fault(next.kind, workload.job, next.topic as i32, None);
        watch.fault(fault);
        workload.inputs.set(next.topic, next.partitions);
        if !watch.recovers(fault, RECOVERY) {
            record.problem(format!(
                "{}: no committed output on every partition for {RECOVERY:?} after fault {}",
                workload.job,
                fault + 1
            ));
        }
    }
    Ok(())
}

/// The random time that a fault needs: false if the run ends before.
fn passes(time: Duration, record: &Record) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until && !record.is_over() {
        std::thread::sleep(LOOK);
    }
    !record.is_over()
}

/// Asks for a change until all nodes know it. While brokers are away there may be too few for the
/// replicas, and a request may be carried out without an answer; so only what nodes tell counts.
fn change(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    next: &TopicFault,
) -> Result<(), String> {
    let options = AdminOptions::new().request_timeout(Some(ANSWER));
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
    let deadline = Instant::now() + CHANGE;
    loop {
        let answer = runtime.block_on(async {
            if next.kind == Kind::Grow {
                let wanted = NewPartitions::new(name, next.partitions as usize);
                admin.create_partitions([&wanted], &options).await
            } else {
                let wanted = NewTopic::new(name, next.partitions, TopicReplication::Fixed(-1));
                admin.create_topics([&wanted], &options).await
            }
        });
        let refused = answer.as_ref().map_or(true, |all| all.iter().any(Result::is_err));
        let until = Instant::now() + if refused { AGAIN } else { ANSWER };
        while Instant::now() < until {
            if nodes::all_tell(name, next.partitions) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not known to all nodes for {CHANGE:?}; asked: {answer:?}"));
            }
            std::thread::sleep(LOOK);
        }
    }
}
