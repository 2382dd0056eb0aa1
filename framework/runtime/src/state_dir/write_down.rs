//! Writes to the disk what the stores of an instance let wait in memory, each interval, on a thread of
//! its own: a worker that wrote it would keep its records waiting meanwhile.
//!
//! It decides nothing: how much may wait is the backend's to know, and a worker fails with the error.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use oncestream_engine::ports::Stores;

/// Writes until it is dropped, and once more then.
pub(super) struct WriteDown {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WriteDown {
    /// Begins with it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(stores: Arc<Stores>, interval: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut is_last = false;
            while !is_last {
                is_last = stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
                stores.write_down_apart();
            }
        };
        let thread = std::thread::Builder::new().name("oncestream-stores".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for WriteDown {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What it could not write stops a worker, or is told by the shutdown.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use oncestream_core::TaskId;
    use oncestream_core::state::{Backend, WriteBatch};
    use oncestream_stores::{MemoryBackend, WriteBehind};
    use std::time::Instant;

    /// Stores on a disk, with one row that waits.
    fn stores() -> (Arc<MemoryBackend>, Arc<Stores>) {
        let disk = Arc::new(MemoryBackend::new());
        let stores = Stores::new(Arc::new(WriteBehind::new(disk.clone(), 1 << 20)), |_| {});
        let task = TaskId::new(0, 0);
        stores.claim(task, 0);
        stores.backend().keyspace("a").unwrap();
        let mut batch = WriteBatch::default();
        batch.put("a", b"k", b"v");
        assert!(stores.apply(0, std::iter::once(task), &batch).unwrap());
        (disk, Arc::new(stores))
    }

    fn is_on_disk(disk: &MemoryBackend) -> bool {
        let mut found = false;
        disk.keyspace("a").unwrap().get(b"k", &mut |_| found = true).unwrap();
        found
    }

    #[test]
    fn what_waits_is_written_when_its_time_is_over() {
        let (disk, stores) = stores();
        assert!(!is_on_disk(&disk));
        let _writes = WriteDown::start(stores, Duration::from_millis(1)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_on_disk(&disk) {
            assert!(Instant::now() < deadline, "it waits for ever");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_waits_is_written_at_the_end() {
        let (disk, stores) = stores();
        drop(WriteDown::start(stores, Duration::from_secs(3600)).unwrap());
        assert!(is_on_disk(&disk));
    }
}
