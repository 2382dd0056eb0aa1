//! What tests of crashes begin with: a driver that commits after each record, and goes on after each crash.

use oncestream_core::commit::Guarantee;
use oncestream_operators::StreamsBuilder;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TopologyTestDriverBuilder};

/// Exactly once, with a commit after each record.
pub(crate) fn builder(b: StreamsBuilder) -> TopologyTestDriverBuilder {
    let driver = TopologyTestDriver::builder(b.build().unwrap());
    driver.guarantee(Guarantee::ExactlyOnce).commit_interval_ms(0)
}

/// Processes all that was produced, once, also what was in hand when a crash came.
pub(crate) fn settle(driver: &mut TopologyTestDriver) {
    while let Err(error) = driver.run() {
        assert!(matches!(error, DriverError::Crashed { .. } | DriverError::Down), "{error}");
        driver.recover().unwrap();
    }
}
