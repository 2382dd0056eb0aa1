//! One keyspace in front of a backend's: what waits in memory is newer than what lies below.
//!
//! While waiting rows are written down they are still found here, because nobody knows when the backend
//! shows them. No lock is held while a disk is read or written.

use oncestream_core::state::{BackendError, BatchOp, Keyspace, Pair, PairIter};
use std::cmp::Ordering;
use std::collections::btree_map;
use std::iter::{Peekable, Rev};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::waiting::{Range, Rows, Waiting, Waits, is_within};
use crate::bounds;

/// A keyspace with rows that wait.
pub(super) struct BehindKeyspace {
    pub(super) name: String,
    inner: Arc<dyn Keyspace>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    /// Older rows that are being written down, or could not be.
    writing: Option<Arc<Waiting>>,
    /// For its memory.
    spare: Option<Waiting>,
}

impl BehindKeyspace {
    pub(super) fn new(name: &str, inner: Arc<dyn Keyspace>) -> Self {
        Self { name: name.to_owned(), inner, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets writes wait; gives the bytes that wait more than before.
    pub(super) fn add<'a>(&self, ops: impl Iterator<Item = BatchOp<'a>>) -> usize {
        let mut state = self.state();
        let before = state.waiting.size_bytes();
        state.waiting.apply(ops);
        state.waiting.size_bytes() - before
    }

    /// What is to be written down now; what comes from here on waits for the next time.
    pub(super) fn take(&self) -> Option<Arc<Waiting>> {
        let mut state = self.state();
        let mut fresh = state.spare.take().unwrap_or_default();
        if state.waiting.is_ordered() {
            fresh.put_in_order();
        }
        let mut taken = std::mem::replace(&mut state.waiting, fresh);
        // What could not be written the last time comes before it.
        if let Some(older) = state.writing.take() {
            let mut both = Waiting::default();
            both.absorb(&older);
            both.absorb(&taken);
            taken = both;
        }
        if taken.is_empty() {
            state.spare = Some(taken);
            return None;
        }
        let taken = Arc::new(taken);
        state.writing = Some(Arc::clone(&taken));
        Some(taken)
    }

    /// What was taken is in the backend.
    pub(super) fn written(&self, taken: Arc<Waiting>) {
        let mut state = self.state();
        state.writing = None;
        if let Ok(mut spare) = Arc::try_unwrap(taken) {
            spare.clear();
            state.spare = Some(spare);
        }
    }

    fn merged(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> PairIter<'_> {
        if bounds::is_empty(from, to) {
            return Box::new(std::iter::empty());
        }
        // First what waits: it may be written down meanwhile, and is then found below.
        let (ours, hidden) = self.state().between(from, to);
        let theirs = match direction {
            Direction::Forwards => self.inner.range(from, to),
            Direction::Backwards => self.inner.range_rev(from, to),
        };
        if ours.is_empty() && hidden.is_empty() {
            return theirs;
        }
        let ours = match direction {
            Direction::Forwards => Ours::Forwards(ours.into_iter()),
            Direction::Backwards => Ours::Backwards(ours.into_iter().rev()),
        };
        Box::new(Merged { ours: ours.peekable(), theirs: theirs.peekable(), hidden, direction })
    }
}

impl State {
    fn get(&self, key: &[u8]) -> Option<Waits<'_>> {
        let older = || self.writing.as_ref().and_then(|writing| writing.get(key));
        self.waiting.get(key).or_else(older)
    }

    /// The rows between two bounds, and the ranges that hide what lies below.
    fn between(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> (Rows, Vec<Range>) {
        let (mut rows, mut hidden) = (Rows::new(), Vec::new());
        if let Some(writing) = &self.writing {
            writing.add_between(from, to, &mut rows);
            hidden.extend_from_slice(writing.ranges());
        }
        let newer = self.waiting.ranges();
        if !newer.is_empty() {
            rows.retain(|key, _| !is_within(newer, key));
            hidden.extend_from_slice(newer);
        }
        self.waiting.put_in_order();
        self.waiting.add_between(from, to, &mut rows);
        (rows, hidden)
    }
}

impl Keyspace for BehindKeyspace {
    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        {
            let state = self.state();
            match state.get(key) {
                Some(Waits::Set(value)) => {
                    found(value);
                    return Ok(());
                }
                Some(Waits::Deleted) => return Ok(()),
                None => {}
            }
        }
        self.inner.get(key, found)
    }

    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        self.merged(from, to, Direction::Forwards)
    }

    fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
        self.merged(from, to, Direction::Backwards)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Forwards,
    Backwards,
}

enum Ours {
    Forwards(btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>),
    Backwards(Rev<btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>>),
}

impl Iterator for Ours {
    type Item = (Vec<u8>, Option<Vec<u8>>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Forwards(rows) => rows.next(),
            Self::Backwards(rows) => rows.next(),
        }
    }
}

/// Waiting rows merged with those below.
struct Merged<'a> {
    ours: Peekable<Ours>,
    theirs: Peekable<PairIter<'a>>,
    hidden: Vec<Range>,
    direction: Direction,
}

impl Iterator for Merged<'_> {
    type Item = Result<Pair, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = match (self.ours.peek(), self.theirs.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
                (Some((ours, _)), Some(Ok((theirs, _)))) => match self.direction {
                    Direction::Forwards => ours.cmp(theirs),
                    Direction::Backwards => theirs.cmp(ours),
                },
            };
            if first == Ordering::Greater {
                match self.theirs.next()? {
                    Ok((key, _)) if is_within(&self.hidden, &key) => continue,
                    pair => return Some(pair),
                }
            }
            if first == Ordering::Equal {
                self.theirs.next();
            }
            if let (key, Some(value)) = self.ours.next()? {
                return Some(Ok((key, value)));
            }
        }
    }
}
