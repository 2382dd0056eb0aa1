//! The typed edge between operators: [`Node`], and [`Downstream`] to forward to.
//!
//! Between two operators there is one virtual call and no boxing. A node with one parent is
//! owned by it; one with several is shared. Nodes of a task never leave its worker's thread.

use std::cell::RefCell;
use std::rc::Rc;

use super::context::Context;
use crate::error::TaskError;
use crate::record::Record;

/// An instantiated operator, as its parent sees it.
pub trait Node<K, V> {
    /// Handles one record.
    ///
    /// # Errors
    /// An error stops the task; the transaction is aborted.
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError>;
}

/// A node that several parents, or a parent and the task, call.
pub struct Shared<N: ?Sized>(pub Rc<RefCell<N>>);

impl<N: ?Sized> Clone for Shared<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V, N: Node<K, V> + ?Sized> Node<K, V> for Shared<N> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        self.0.borrow_mut().process(ctx, record)
    }
}

impl<K, V, N: Node<K, V> + ?Sized> Node<K, V> for Box<N> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        (**self).process(ctx, record)
    }
}

/// The children of a node.
pub enum Downstream<K, V> {
    /// Nobody listens.
    None,
    /// One child: the record moves on.
    One(Box<dyn Node<K, V>>),
    /// Several: all but the last get a clone.
    Many(Vec<Box<dyn Node<K, V>>>),
}

impl<K: Clone, V: Clone> Downstream<K, V> {
    /// Hands the record to every child, in the order they were added to the topology.
    ///
    /// # Errors
    /// The first child's error; later children do not see the record.
    #[inline]
    pub fn forward(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, V>,
    ) -> Result<(), TaskError> {
        match self {
            Self::One(child) => child.process(ctx, record),
            Self::None => Ok(()),
            Self::Many(children) => {
                let Some((last, rest)) = children.split_last_mut() else { return Ok(()) };
                for child in rest {
                    child.process(ctx, record.clone())?;
                }
                last.process(ctx, record)
            }
        }
    }

    /// True when nobody listens.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The n-th child alone, in the order of the topology; for `split`.
    pub fn child(&mut self, index: usize) -> Option<&mut dyn Node<K, V>> {
        match self {
            Self::One(child) if index == 0 => Some(&mut **child),
            Self::Many(children) => {
                children.get_mut(index).map(|c| &mut **c as &mut dyn Node<K, V>)
            }
            _ => None,
        }
    }
}

/// What a node answers to a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flushed {
    /// Everything that belongs into the commit was forwarded.
    Done,
    /// Something is still in work: it wants to be asked again, soon and before any further record.
    NotYet,
}

/// A node that keeps something back between commits: changes in a cache, or records in work.
pub trait Flush {
    /// Forwards what belongs into the commit: a cache each changed key once.
    ///
    /// It may be called several times for one commit, because it or another node answered
    /// [`Flushed::NotYet`]. No record comes in between.
    ///
    /// # Errors
    /// An error stops the task; the transaction is aborted.
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError>;
}

/// A node with a life of its own: told when its task starts and ends, and called by schedules.
pub trait Lifecycle {
    /// The task starts; its stores are restored.
    ///
    /// # Errors
    /// An error stops the task.
    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError>;

    /// A schedule is due.
    ///
    /// # Errors
    /// An error stops the task; the transaction is aborted.
    fn punctuate(
        &mut self,
        ctx: &mut Context<'_>,
        schedule: super::ScheduleId,
        timestamp: crate::TimestampMs,
    ) -> Result<(), TaskError>;

    /// The task ends cleanly.
    fn close(&mut self);
}
