//! Crashes and losses of the disk that must change nothing.

use std::fmt::Debug;

use oncestream_testkit::TopologyTestDriver;

/// Is called after each record.
pub(crate) type AfterEach<'a> = &'a mut dyn FnMut(&mut TopologyTestDriver);

/// Compares the outcome of a run without a crash with those of a crash at each `every`th step, and with that
/// of a loss of the disk after each record. Gives the outcome and the number of steps.
pub(crate) fn unchanged_by_crashes<O: Debug + PartialEq>(
    every: usize,
    driver: impl Fn() -> TopologyTestDriver,
    run: impl Fn(&mut TopologyTestDriver, AfterEach<'_>),
    outcome: impl Fn(&TopologyTestDriver) -> O,
) -> (O, u64) {
    let mut whole = driver();
    run(&mut whole, &mut |_| {});
    let (expected, steps) = (outcome(&whole), whole.commit_steps());
    for step in (0..steps).step_by(every) {
        let mut driver = driver();
        driver.crash_at_count(step);
        run(&mut driver, &mut |_| {});
        if driver.is_down() {
            driver.recover().unwrap();
        }
        assert_eq!(outcome(&driver), expected, "after a crash at step {step}");
    }
    let mut losing = driver();
    run(&mut losing, &mut |driver| {
        driver.crash_and_lose_disk().unwrap();
        driver.recover().unwrap();
    });
    assert_eq!(outcome(&losing), expected, "after losses of the disk");
    (expected, steps)
}
