//! Consume, transform, produce: the application that chapters kill, freeze and start again.
//!
//! A plain loop on librdkafka's clients, as an application without a framework has it. It knows no
//! chapter. A record of input partition n becomes a record of output partition n.
//!
//! Its settings: `client.id`, `input`, `output` and `group`; `transactional` (true), with
//! `transactional.id` (the group's name); `group.metadata` (true) sends the offsets with the
//! generation of the group; `commit_every` (3 messages); `transform`, `copy` or `base64` of key and
//! value (`copy`). What begins with `producer.` or `consumer.` goes to librdkafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use crate::LabError;
use crate::clients::{Sender, config, failed};
use crate::worker::Role;

/// This file: chapters show the lines between its markers.
pub(crate) const SOURCE: &str = include_str!("transfer.rs");
/// The name of the role.
pub(crate) const NAME: &str = "transfer";
/// How long the loop waits for a message before it looks around.
const POLL: Duration = Duration::from_millis(50);

/// The role of such a process, with settings of its own.
pub(crate) fn role(servers: String, settings: &[(&str, &str)]) -> Role {
    let owned = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Role { name: NAME.to_owned(), servers, settings: owned.collect() }
}

/// The process. It ends by itself when it was refused: when its producer is fenced, or it is no
/// member of the group any more.
pub(crate) fn play(role: &Role) -> Result<(), LabError> {
    let mut transfer = Transfer::open(role)?;
    while transfer.step()? == Life::GoesOn {}
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    Ends,
}

struct Transfer {
    name: String,
    input: String,
    output: String,
    commit_every: usize,
    transactional: bool,
    base64: bool,
    producer: Sender,
    consumer: BaseConsumer<Membership>,
    /// Offsets go into the transaction with this if they are to go without a generation.
    anonymous: Option<Arc<ConsumerGroupMetadata>>,
    batch: Batch,
    /// Partitions of which everything is read.
    ends: BTreeSet<i32>,
}

/// What was produced and not committed yet.
#[derive(Default)]
struct Batch {
    messages: usize,
    /// The next offset of each partition.
    offsets: BTreeMap<i32, i64>,
    /// The generation in which the first of these messages was read. Asked for later, the client
    /// might have left the group already, and brokers do not check offsets without a generation.
    group: Option<Arc<ConsumerGroupMetadata>>,
}

impl Transfer {
    fn open(role: &Role) -> Result<Self, LabError> {
        let name = role.setting("client.id", NAME);
        let group = role.setting("group", "transfer");
        let transactional = role.setting("transactional", "true") == "true";
        let input = role.setting("input", "input").to_owned();

        let mut settings = role.passed_on("producer.");
        settings.push(("linger.ms", "20"));
        settings.push(("batch.num.messages", role.setting("commit_every", "3")));
        if transactional {
            settings.push(("transactional.id", role.setting("transactional.id", group)));
        }
        let producer = Sender::open(&role.servers, name, &settings)?;
        if transactional {
            // Whatever a former process left open is aborted before this one reads its offsets.
            producer.client().init_transactions(Timeout::Never).map_err(failed(name))?;
        }

        let mut settings = vec![
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("fetch.wait.max.ms", "10"),
            ("heartbeat.interval.ms", "100"),
        ];
        settings.extend(role.passed_on("consumer."));
        let open = || {
            config(&role.servers, name, &settings)
                .create_with_context::<_, BaseConsumer<_>>(Membership::default())
                .map_err(failed(name))
        };
        let anonymous = match role.setting("group.metadata", "true") {
            // Of a consumer that never joins.
            "false" => open()?.group_metadata().map(Arc::new),
            _ => None,
        };
        let consumer = open()?;
        consumer.subscribe(&[&input]).map_err(failed(name))?;
        let commit_every = role.setting("commit_every", "3").parse().unwrap_or(3);
        Ok(Self {
            name: name.to_owned(),
            input,
            output: role.setting("output", "output").to_owned(),
            commit_every,
            transactional,
            base64: role.setting("transform", "copy") == "base64",
            producer,
            consumer,
            anonymous,
            batch: Batch::default(),
            ends: BTreeSet::new(),
        })
    }

    fn step(&mut self) -> Result<Life, LabError> {
        let polled = self.consumer.poll(POLL).map(|polled| polled.map(|message| message.detach()));
        if self.consumer.context().take_lost() {
            self.abandon()?;
        }
        match polled {
            None => Ok(Life::GoesOn),
            Some(Ok(message)) => {
                self.transfer(&message)?;
                if self.batch.messages < self.commit_every { Ok(Life::GoesOn) } else { self.end() }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.ends.insert(partition);
                let assigned = self.consumer.assignment().map_err(failed(&self.name))?.count();
                // The last messages fill no batch.
                let rest = self.batch.messages > 0 && self.ends.len() >= assigned;
                if rest { self.end() } else { Ok(Life::GoesOn) }
            }
            Some(Err(error)) => Err(failed(&self.name)(error)),
        }
    }

    // [loop]
    /// Transforms a message and produces what comes out.
    fn transfer(&mut self, message: &OwnedMessage) -> Result<(), LabError> {
        if self.batch.messages == 0 {
            self.batch.group = self.consumer.context().state().group.clone();
            if self.transactional {
                self.producer.client().begin_transaction().map_err(failed(&self.name))?;
            }
        }
        let transform = |bytes: &[u8]| {
            if self.base64 { BASE64_STANDARD.encode(bytes).into_bytes() } else { bytes.to_vec() }
        };
        let key = message.key().map(transform);
        let value = message.payload().map(transform).unwrap_or_default();
        let partition = message.partition();
        self.producer.send_bytes(&self.output, partition, key.as_deref(), &value)?;
        self.ends.remove(&partition);
        self.batch.messages += 1;
        self.batch.offsets.insert(partition, message.offset() + 1);
        Ok(())
    }

    /// Commits the batch.
    fn end(&mut self) -> Result<Life, LabError> {
        let batch = std::mem::take(&mut self.batch);
        let delivered = self.delivered()?;
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in &batch.offsets {
            offsets
                .add_partition_offset(&self.input, *partition, Offset::Offset(*offset))
                .map_err(failed(&self.name))?;
        }
        if !self.transactional {
            return match self.consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => Ok(Life::GoesOn),
                Err(error) if is_refusal(&error) => Ok(Life::Ends),
                Err(error) => Err(failed(&self.name)(error)),
            };
        }
        let client = self.producer.client();
        let group = self.anonymous.as_ref().or(batch.group.as_ref());
        let committed = match group.filter(|_| delivered) {
            Some(group) => client
                .send_offsets_to_transaction(&offsets, group, Timeout::Never)
                .and_then(|()| client.commit_transaction(Timeout::Never)),
            None => Err(KafkaError::Canceled),
        };
        match committed {
            Ok(()) => Ok(Life::GoesOn),
            Err(error) if !delivered || is_refusal(&error) => {
                // Fails too if the producer is fenced; then its transaction is aborted already.
                let _ = client.abort_transaction(Timeout::Never);
                Ok(Life::Ends)
            }
            Err(error) => Err(failed(&self.name)(error)),
        }
    }
    // [end]

    /// Waits until each message is stored, for as long as it takes. False if one was refused.
    fn delivered(&self) -> Result<bool, LabError> {
        loop {
            match self.producer.wait() {
                Ok(told) => return Ok(told.iter().all(|delivery| delivery.outcome.is_ok())),
                Err(LabError::Late { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Others have the partitions now, and begin at the committed offsets.
    fn abandon(&mut self) -> Result<(), LabError> {
        self.ends.clear();
        let batch = std::mem::take(&mut self.batch);
        if self.transactional && batch.messages > 0 {
            let aborted = self.producer.client().abort_transaction(Timeout::Never);
            aborted.map_err(failed(&self.name))?;
        }
        Ok(())
    }
}

/// Was this process refused because another one has its place?
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    match error {
        KafkaError::Transaction(error) => error.is_fatal() || error.txn_requires_abort(),
        KafkaError::ConsumerCommit(code) => matches!(
            code,
            Code::UnknownMemberId
                | Code::IllegalGeneration
                | Code::RebalanceInProgress
                | Code::AssignmentLost
        ),
        _ => false,
    }
}

/// What the group told this consumer, and librdkafka's log kept out of the terminal.
#[derive(Default)]
struct Membership(Mutex<State>);

#[derive(Default)]
struct State {
    group: Option<Arc<ConsumerGroupMetadata>>,
    /// Partitions were taken away.
    lost: bool,
}

impl Membership {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_lost(&self) -> bool {
        std::mem::take(&mut self.state().lost)
    }
}

impl ClientContext for Membership {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Membership {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            let group = consumer.group_metadata().map(Arc::new);
            self.state().group = group;
        } else {
            self.state().lost = true;
        }
    }
}
