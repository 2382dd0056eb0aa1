//! The process that runs an Oncestream topology: Base64 of key and value.
//!
//! It ends when it is killed, or with the error that stopped the topology.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oncestream_core::error::TopologyError;
use oncestream_core::graph::Topology;
use oncestream_operators::StreamsBuilder;
use oncestream_runtime::{Streams, StreamsConfig};

use crate::LabError;
use crate::worker::Role;

/// The name of the role.
pub(crate) const NAME: &str = "topology";
/// The `application.id`, which is the name of its group.
pub(crate) const APPLICATION_ID: &str = "encoder";
/// This file: chapters show the lines between its markers.
pub(crate) const SOURCE: &str = include_str!("topology.rs");

fn topology() -> Result<Topology, TopologyError> {
    // [topology]
    let builder = StreamsBuilder::new();
    builder
        .stream::<Vec<u8>, Vec<u8>>("payments")
        .map(|key, value| (BASE64.encode(key), BASE64.encode(value)))
        .to("encoded-by-topology");
    // [end]
    builder.build()
}

/// The role of such a process, with Oncestream's configuration.
pub(crate) fn role(servers: String, configuration: &[(&str, &str)]) -> Role {
    let owned = configuration.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Role { name: NAME.to_owned(), servers, settings: owned.collect() }
}

/// Runs the topology with the role's settings, which are Oncestream's configuration.
pub(crate) fn play(role: &Role) -> Result<(), LabError> {
    let failed = |error: &dyn std::error::Error| LabError::Streams(error.to_string());
    let mut config = StreamsConfig::builder(APPLICATION_ID, &role.servers);
    for (key, value) in &role.settings {
        config = config.set(key, value).map_err(|error| failed(&error))?;
    }
    let config = config.build().map_err(|error| failed(&error))?;
    let topology = topology().map_err(|error| failed(&error))?;
    let streams = Streams::builder(topology, config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(streams.run_until(std::future::pending::<()>()));
    ended.map_err(|error| failed(&error))
}
