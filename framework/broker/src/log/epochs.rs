//! Which leader epoch began at which offset.
//!
//! It does not know who leads. Invariant: epochs and start offsets strictly increase, and there is
//! always at least one epoch.

/// The leader epochs of a log.
#[derive(Debug)]
pub(crate) struct Epochs {
    /// Epoch and the offset it began at.
    entries: Vec<(i32, i64)>,
    latest: i32,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self { entries: vec![(0, 0)], latest: 0 }
    }

    pub(crate) fn latest(&self) -> i32 {
        self.latest
    }

    /// A new leader begins at the end of the log. An epoch in which nothing was written is
    /// forgotten.
    pub(crate) fn bump(&mut self, log_end: i64) -> i32 {
        self.latest += 1;
        self.entries.retain(|(_, start)| *start < log_end);
        self.entries.push((self.latest, log_end));
        self.latest
    }

    /// The log now starts at `offset`.
    pub(crate) fn forget_before(&mut self, offset: i64) {
        let gone = self.entries.partition_point(|(_, start)| *start <= offset);
        if gone > 0 {
            self.entries.drain(..gone - 1);
            self.entries[0].1 = offset;
        }
    }

    /// The last epoch up to `epoch`, and the offset it ended at; (-1, -1) if that is not known.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end: i64) -> (i32, i64) {
        if epoch == self.latest {
            return (epoch, log_end);
        }
        let higher = self.entries.partition_point(|(known, _)| *known <= epoch);
        match self.entries.get(higher) {
            Some((_, end)) if epoch >= 0 => {
                let floor = higher.checked_sub(1).map_or(epoch, |floor| self.entries[floor].0);
                (floor, *end)
            }
            _ => (-1, -1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let mut epochs = Epochs::new();
        assert_eq!(epochs.end_offset_for(0, 7), (0, 7));
        assert_eq!(epochs.bump(10), 1);
        assert_eq!(epochs.bump(10), 2);
        assert_eq!(epochs.bump(25), 3);
        assert_eq!(epochs.end_offset_for(0, 30), (0, 10));
        assert_eq!(epochs.end_offset_for(1, 30), (0, 10), "nothing was written in epoch 1");
        assert_eq!(epochs.end_offset_for(2, 30), (2, 25));
        assert_eq!(epochs.end_offset_for(3, 30), (3, 30));
        assert_eq!(epochs.end_offset_for(4, 30), (-1, -1));
        assert_eq!(epochs.end_offset_for(-1, 30), (-1, -1));
    }

    #[test]
    fn epochs_before_the_start_are_forgotten() {
        let mut epochs = Epochs::new();
        epochs.bump(10);
        epochs.bump(20);
        epochs.forget_before(15);
        assert_eq!(epochs.entries, [(1, 15), (2, 20)]);
        assert_eq!(epochs.end_offset_for(0, 30), (0, 15));
    }
}
