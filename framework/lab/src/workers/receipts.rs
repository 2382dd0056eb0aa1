//! A consumer that writes a receipt for each order, and commits before or after it does so.
//!
//! Its settings: `client.id`; `order`, `commit first` or anything else; `dies at`, the order between
//! whose two steps it waits to be killed.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::LabError;
use crate::clients::{Sender, consumer, failed};
use crate::worker::Role;

/// Its name among the roles.
pub(crate) const NAME: &str = "receipts";

/// Writes receipts until it is killed.
pub(crate) fn play(role: &Role) -> Result<(), LabError> {
    let told = |name: &str| role.settings.get(name).map(String::as_str).unwrap_or_default();
    let client_id = told("client.id");
    let receipts = Sender::open(&role.servers, client_id, &[])?;
    let orders = consumer(&role.servers, client_id, &[("group.id", "billing")])?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("orders", 0, Offset::Stored).map_err(failed(client_id))?;
    orders.assign(&from).map_err(failed(client_id))?;
    loop {
        let Some(message) = orders.poll(Duration::from_millis(100)) else { continue };
        let message = message.map_err(failed(client_id))?;
        let order = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let commit =
            || orders.commit_message(&message, CommitMode::Sync).map_err(failed(client_id));
        let work = || receipts.deliver("receipts", 0, &order).map(drop);
        let commits_first = told("order") == "commit first";
        let steps: [&dyn Fn() -> Result<(), LabError>; 2] =
            if commits_first { [&commit, &work] } else { [&work, &commit] };
        steps[0]()?;
        if order == told("dies at") {
            // Whoever started it kills it here.
            loop {
                std::thread::park();
            }
        }
        steps[1]()?;
    }
}
