//! [`ClientError`]: what a Kafka client said when a call failed, in the terms that the engine decides by.
//!
//! Users see the error. What ports make it of, and what the engine reads in it, is in [`ClientFault`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use oncestream_core::commit::Verdict;

use crate::access::Resource;
use crate::verdict::{ErrorKind, Step, verdict};

/// What a client knows of the transaction after one of its calls has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionFault {
    /// The transaction is as it was before the call, and can only be aborted.
    pub requires_abort: bool,
    /// The same call may be made again, and goes on where it was.
    pub is_retriable: bool,
}

/// An error of a Kafka client.
///
/// Its text, and its [source](Error::source), are the client's own. Two clients that see the same
/// answer of a broker give errors of the same [kind](Self::kind) and [code](Self::code).
#[derive(Clone)]
pub struct ClientError {
    kind: ErrorKind,
    code: Option<i32>,
    transaction: Option<TransactionFault>,
    advice: &'static str,
    source: Arc<dyn Error + Send + Sync>,
}

impl ClientError {
    /// What it speaks of.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The number of Kafka's protocol or, below 0, the client's own.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// What a user can do about it; empty where nothing better is known than the text.
    pub fn advice(&self) -> &'static str {
        self.advice
    }
}

/// How a port makes a [`ClientError`], and what the engine decides by. It is a trait so that users of
/// the facade, which does not have it, do not depend on what the engine decides.
pub trait ClientFault: Sized {
    /// An error with what it speaks of and what the client said.
    fn new(kind: ErrorKind, source: impl Error + Send + Sync + 'static) -> Self;

    /// The same with the number that Kafka's protocol, or the client, has for it.
    #[must_use]
    fn with_code(self, code: Option<i32>) -> Self;

    /// The same with what the client knows of its transaction.
    #[must_use]
    fn with_transaction(self, transaction: Option<TransactionFault>) -> Self;

    /// The same with what a user can do about it, to go on after its text: empty, or with a
    /// semicolon in front.
    #[must_use]
    fn with_advice(self, advice: &'static str) -> Self;

    /// What to do about it at `step`. `fatal` is the client's own fatal error, if it has one.
    fn judge(&self, step: Step, fatal: Option<&Self>) -> Verdict;

    /// A consumer or an admin client gets over it by itself.
    fn is_transient(&self) -> bool {
        self.judge(Step::Read, None) == Verdict::Retry
    }

    /// It may go away while brokers come and go: the client can know fewer partitions than there are
    /// for a while. To be borne for a bounded time.
    fn is_unsettled(&self) -> bool {
        self.judge(Step::LookUp, None) == Verdict::Retry
    }

    /// A topic or partition is not there, or not yet.
    fn is_unknown_topic(&self) -> bool;

    /// The log has nothing at a position: it begins later, or ends before.
    fn is_out_of_range(&self) -> bool;

    /// A record was thrown away by the client itself, for a reason that this error does not tell.
    fn is_consequence(&self) -> bool;

    /// It may go on for as long as brokers or the group need it, however often it fails in a row.
    fn is_outage(&self) -> bool;

    /// The thing on which a right is missing.
    fn denied(&self) -> Option<Resource>;

    /// The call of a transaction may be made again, and goes on where it was.
    fn is_resumable(&self) -> bool;
}

impl ClientFault for ClientError {
    fn new(kind: ErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, code: None, transaction: None, advice: "", source: Arc::new(source) }
    }

    fn with_code(self, code: Option<i32>) -> Self {
        Self { code, ..self }
    }

    fn with_transaction(self, transaction: Option<TransactionFault>) -> Self {
        Self { transaction, ..self }
    }

    fn with_advice(self, advice: &'static str) -> Self {
        Self { advice, ..self }
    }

    fn judge(&self, step: Step, fatal: Option<&Self>) -> Verdict {
        let found = verdict(fatal.unwrap_or(self).kind, step);
        match found {
            Verdict::Fenced | Verdict::StaleMember | Verdict::TwinMember | Verdict::Fatal => found,
            // Sequence errors, an expired producer id: a new producer gets over them.
            _ if fatal.is_some() => Verdict::OutcomeUnknown,
            _ => match self.transaction {
                Some(TransactionFault { requires_abort: true, .. }) => Verdict::Abort,
                // Timed out, retriable or in the wrong state: what the broker did is not known.
                Some(_) => Verdict::OutcomeUnknown,
                None => found,
            },
        }
    }

    fn is_unknown_topic(&self) -> bool {
        self.kind == ErrorKind::UnknownTopic
    }

    fn is_out_of_range(&self) -> bool {
        self.kind == ErrorKind::OutOfRange
    }

    /// The client itself has thrown a record away, for a reason that this error does not have.
    fn is_consequence(&self) -> bool {
        self.kind == ErrorKind::Purged
    }

    fn is_outage(&self) -> bool {
        matches!(self.kind, ErrorKind::Away | ErrorKind::Full | ErrorKind::Member)
    }

    fn denied(&self) -> Option<Resource> {
        match self.kind {
            ErrorKind::Denied(resource) => resource,
            _ => None,
        }
    }

    fn is_resumable(&self) -> bool {
        self.transaction.is_some_and(|t| t.is_retriable)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}
