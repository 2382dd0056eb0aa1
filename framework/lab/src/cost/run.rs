//! One measurement of one producer, on a topic of its own.

use std::time::{Duration, Instant};

use super::figures::{Figures, Latency};
use super::reader::{self, Found};
use super::sender::Sender;
use super::{CostError, Plan, Variant};

/// How much a producer sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Records at full speed.
    pub(super) records: u64,
    /// Records at the plan's pace.
    pub(super) paced: u64,
}

/// Measures a producer, and checks that the topic holds what it sent.
pub(super) fn measure(
    plan: &Plan,
    variant: Variant,
    topic: &str,
    load: Load,
) -> Result<Figures, CostError> {
    let mut sender = Sender::open(plan, variant, topic)?;
    sender.warm_up()?;
    let cpu = cpu_time();
    let begun = Instant::now();
    sender.at_full_speed(load.records)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu_time().zip(cpu).map(|(end, begin)| end.saturating_sub(begin).as_secs_f64());
    sender.paced(load.paced)?;

    let sent = sender.finish();
    let Found { lost, doubled } = reader::read(plan, topic, sent.records)?;
    let latency = Latency::of(sent.acknowledged_us);
    match latency {
        Some(acknowledged) if sent.acknowledged == sent.records && lost == 0 && doubled == 0 => {
            let records_per_second = load.records as f64 / seconds;
            Ok(Figures {
                records_per_second,
                megabytes_per_second: records_per_second * plan.record_bytes as f64 / 1e6,
                cpu_seconds_per_million: cpu.map(|cpu| cpu * 1e6 / load.records as f64),
                acknowledged,
                committed: Latency::of(sent.committed_us),
            })
        }
        _ => Err(CostError::Miscounted {
            variant,
            topic: topic.to_owned(),
            sent: sent.records,
            acknowledged: sent.acknowledged,
            lost,
            doubled,
        }),
    }
}

/// CPU time of all threads of this process, user and system.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn cpu_time() -> Option<Duration> {
    None
}
