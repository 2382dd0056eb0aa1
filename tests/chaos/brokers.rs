//! Faults of brokers, carried out on a cluster of three.
//!
//! Invariant: the next fault comes only when every replica of every partition, Kafka's own
//! included, is in sync again: a majority always stays.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use oncestream_tests::kafka::{Isolation, consumer, kafka};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;

use crate::faults::{BEGINNING, RECOVERY, Record};
use crate::plan::{BrokerFault, Kind, Plan};
use crate::watch::Watch;

/// How long a request to a broker may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often the replicas are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Strikes until the run is over. All applications are struck by each fault.
pub(crate) fn rage(mut plan: Plan, record: &Record, watches: &[Watch]) -> anyhow::Result<()> {
    let nodes = kafka().node_count() as i32;
    for watch in watches {
        // A crew tells if that does not come.
        watch.recovers(BEGINNING, RECOVERY);
    }
    await_in_sync(record);
    while record.take() {
        let next = plan.next_broker(nodes);
        // Not a wait for something: the random moment that a fault needs.
        std::thread::sleep(Duration::from_millis(next.after_ms));
        let fault = record.fault(next.kind, "brokers", next.node, None);
        for watch in watches {
            watch.fault(fault);
        }
        strike(&next)?;
        await_in_sync(record);
        for watch in watches {
            if !watch.recovers(fault, RECOVERY) {
                record.problem(format!(
                    "an application without committed output on every partition for {RECOVERY:?} \
                     after fault {}",
                    fault + 1
                ));
            }
        }
    }
    Ok(())
}

fn strike(next: &BrokerFault) -> anyhow::Result<()> {
    let away = Duration::from_millis(next.away_ms);
    match next.kind {
        Kind::BrokerStop => {
            kafka().stop_node(next.node)?;
            std::thread::sleep(away);
            kafka().start_node(next.node)?;
        }
        Kind::BrokerPause => {
            kafka().pause_node(next.node)?;
            std::thread::sleep(away);
            kafka().resume_node(next.node)?;
        }
        Kind::LeadersMove => elect_preferred_leaders()?,
        _ => {
            kafka().kill_node(next.node)?;
            std::thread::sleep(away);
            kafka().start_node(next.node)?;
        }
    }
    Ok(())
}

/// Waits until all replicas are in sync.
fn await_in_sync(record: &Record) {
    let asks = consumer("in-sync", Isolation::Committed);
    let deadline = Instant::now() + RECOVERY;
    while !in_sync(&asks) {
        if Instant::now() > deadline {
            return record.problem(format!("replicas are out of sync for {RECOVERY:?}"));
        }
        std::thread::sleep(LOOK);
    }
}

fn in_sync(asks: &BaseConsumer) -> bool {
    asks.fetch_metadata(None, ANSWER).is_ok_and(|metadata| {
        metadata
            .topics()
            .iter()
            .flat_map(MetadataTopic::partitions)
            .all(|p| p.leader() > 0 && p.isr().len() == p.replicas().len())
    })
}

/// Kafka's `ElectLeaders` request for all partitions, which the client library does not offer from
/// Rust. Any broker passes it on to the controller.
fn elect_preferred_leaders() -> anyhow::Result<()> {
    const ELECT_LEADERS: i16 = 43;
    const NOT_NEEDED: i16 = 84;
    let mut request = Vec::new();
    request.extend(ELECT_LEADERS.to_be_bytes());
    request.extend(1_i16.to_be_bytes()); // the version
    request.extend(0_i32.to_be_bytes()); // the number of the request
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.push(0); // preferred, and never unclean
    request.extend((-1_i32).to_be_bytes()); // all partitions
    request.extend(5000_i32.to_be_bytes()); // the timeout

    let servers = kafka().bootstrap_servers();
    let mut stream = servers
        .split(',')
        .find_map(|server| TcpStream::connect(server).ok())
        .context("no broker listens")?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    // Its length, the number of the request, the throttle time, and then the error.
    let mut answer = [0; 14];
    stream.read_exact(&mut answer)?;
    match i16::from_be_bytes([answer[12], answer[13]]) {
        0 | NOT_NEEDED => Ok(()),
        error => bail!("electing the preferred leaders: Kafka's error {error}"),
    }
}
