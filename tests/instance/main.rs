//! One instance of an application as a process of its own, for tests that kill it.

mod run;

fn main() -> anyhow::Result<()> {
    run::run(std::env::args().skip(1))
}
