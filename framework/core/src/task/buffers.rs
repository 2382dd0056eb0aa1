//! What the buffers of a task's suppressions hold, and what they have emitted, for metrics.
//!
//! Knows numbers and names of stores; not what waits, nor who asks.

use std::sync::Arc;

/// A buffer of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferId(usize);

/// How much waits in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffered {
    /// How many keys wait.
    pub records: u64,
    /// Their size; `None` where nothing limits it, because then nobody counts.
    pub bytes: Option<u64>,
}

/// What a buffer tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferReport {
    /// The store that keeps what waits.
    pub store: Arc<str>,
    /// What waits; `None` as long as the task has not looked.
    pub buffered: Option<Buffered>,
    /// How many results were emitted since the last report.
    pub emitted: u64,
}

/// The buffers of one task.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Vec<BufferReport>);

impl Buffers {
    pub(super) fn add(&mut self, store: Arc<str>) -> BufferId {
        self.0.push(BufferReport { store, buffered: None, emitted: 0 });
        BufferId(self.0.len() - 1)
    }

    #[inline]
    pub(super) fn holds(&mut self, id: BufferId, now: Buffered) {
        if let Some(buffer) = self.0.get_mut(id.0) {
            buffer.buffered = Some(now);
        }
    }

    #[inline]
    pub(super) fn emitted(&mut self, id: BufferId) {
        if let Some(buffer) = self.0.get_mut(id.0) {
            buffer.emitted += 1;
        }
    }

    /// What there is to tell since the last call.
    pub(super) fn take(&mut self) -> impl Iterator<Item = BufferReport> {
        self.0.iter_mut().map(|buffer| {
            let told = buffer.clone();
            buffer.emitted = 0;
            told
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_tells_what_it_holds_and_each_emission_once() {
        let mut buffers = Buffers::default();
        let (one, two) = (buffers.add("one".into()), buffers.add("two".into()));
        let held = |records, bytes| Buffered { records, bytes };
        buffers.holds(one, held(3, None));
        buffers.holds(one, held(2, None));
        buffers.emitted(one);
        buffers.holds(two, held(1, Some(40)));
        let told = |buffers: &mut Buffers| {
            buffers.take().map(|told| (told.buffered, told.emitted)).collect::<Vec<_>>()
        };
        let of_two = (Some(held(1, Some(40))), 0);
        assert_eq!(told(&mut buffers), [(Some(held(2, None)), 1), of_two]);
        assert_eq!(told(&mut buffers), [(Some(held(2, None)), 0), of_two]);
    }
}
