//! What windows ask of the store that keeps them, and which windows cannot be.

use std::time::Duration;

use oncestream_core::state::{Kind, Session, Window};

use super::FixedWindows;
use crate::dsl::{Data, StoreKey};
use crate::options::Materialized;
use crate::table::{KTable, TableSerdes};
use crate::windows::{EmitStrategy, SessionWindows, Windowed, millis};

/// A store has this many segments at most.
const MOST_SEGMENTS: i64 = 1000;

/// What windows ask of their store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// How long behind its end a window takes records, in milliseconds.
    grace_ms: i64,
    /// How long windows are kept, in milliseconds.
    pub(super) retention_ms: i64,
    /// The length of the store's segments, where it is not the store's own choice.
    segment_ms: Option<i64>,
    /// Results do not wait in the cache, as in Kafka Streams.
    forgoes_cache: bool,
}

/// Windows that cannot be are refused by `build`; until then anything will do.
const OF_NO_WINDOWS: Kept =
    Kept { grace_ms: 0, retention_ms: 1, segment_ms: None, forgoes_cache: false };

impl FixedWindows {
    /// The serdes of a table with these windows, which has this store. Keys in windows that never end are
    /// of the greatest size there is.
    pub(crate) fn serdes<K: StoreKey, A>(
        self,
        store: &Materialized<K, A>,
    ) -> TableSerdes<Windowed<K>, A> {
        let size = match self {
            Self::Time(windows) => Duration::from_millis(windows.size_ms().unsigned_abs()),
            Self::Sliding(windows) => {
                Duration::from_millis(windows.time_difference_ms().unsigned_abs())
            }
            Self::Unlimited(_) => Duration::MAX,
        };
        let keys = Windowed::time_serde(store.key_serde.clone(), size);
        TableSerdes::new(keys, store.value_serde.clone())
    }

    /// What they ask of a store, and why there can be no such windows.
    pub(crate) fn kept<K, A>(
        self,
        store: &Materialized<K, A>,
        emit: EmitStrategy,
    ) -> (Kept, Option<String>) {
        let asked = self.fault(emit).map_or_else(|| self.asked(store, emit), Err);
        asked.map_or_else(|fault| (OF_NO_WINDOWS, Some(fault)), |kept| (kept, None))
    }

    fn fault(self, emit: EmitStrategy) -> Option<String> {
        match self {
            Self::Time(windows) => windows.fault(),
            Self::Sliding(windows) => windows.fault(),
            Self::Unlimited(_) if emit.on_close.is_some() => Some(
                "they never end, so they cannot be emitted when they close; leave emit_strategy() \
                 out"
                .to_owned(),
            ),
            Self::Unlimited(windows) => windows.fault(),
        }
    }

    fn asked<K, A>(self, store: &Materialized<K, A>, emit: EmitStrategy) -> Result<Kept, String> {
        let (length_ms, grace_ms) = match self {
            Self::Time(windows) => (windows.size_ms(), windows.grace_ms()),
            // The windows before and behind a record.
            Self::Sliding(windows) => {
                (windows.time_difference_ms().saturating_mul(2), windows.grace_ms())
            }
            Self::Unlimited(_) => (i64::MAX, 0),
        };
        let on_close = emit.on_close.is_some();
        let retention_ms = retention_ms(store, length_ms.saturating_add(grace_ms))?;
        let segment_ms = match self {
            // Where rows lie by their start, those that close lie together.
            Self::Time(windows) if on_close => {
                Some(windows.advance_ms().max(retention_ms / MOST_SEGMENTS))
            }
            _ => None,
        };
        let forgoes_cache = matches!(self, Self::Sliding(_)) && on_close;
        Ok(Kept { grace_ms, retention_ms, segment_ms, forgoes_cache })
    }
}

/// The serdes of a table of sessions, which has this store.
pub(crate) fn session_serdes<K: StoreKey, A>(
    store: &Materialized<K, A>,
) -> TableSerdes<Windowed<K>, A> {
    let keys = Windowed::session_serde(store.key_serde.clone());
    TableSerdes::new(keys, store.value_serde.clone())
}

/// What sessions ask of a store, and why there can be none.
pub(crate) fn kept_sessions<K, A>(
    windows: SessionWindows,
    store: &Materialized<K, A>,
    emit: EmitStrategy,
) -> (Kept, Option<String>) {
    let grace_ms = windows.inactivity_gap_ms().saturating_add(windows.grace_ms());
    let on_close = emit.on_close.is_some();
    match retention_ms(store, grace_ms) {
        Err(fault) => (OF_NO_WINDOWS, Some(fault)),
        Ok(retention_ms) => {
            // A session that ends just where sessions close is still joined, so it is to be found.
            let retention_ms = retention_ms.saturating_add(i64::from(on_close));
            let kept = Kept { grace_ms, retention_ms, segment_ms: None, forgoes_cache: on_close };
            (kept, None)
        }
    }
}

/// The retention of a store that must keep windows for `least_ms`.
fn retention_ms<K, A>(store: &Materialized<K, A>, least_ms: i64) -> Result<i64, String> {
    if Kind::<K>::time_to_live(&store.kind).is_some() {
        return Err("their store is given a time to live, but keeps them by its retention; give \
                    retention(), and leave ttl() out"
            .to_owned());
    }
    if store.history.is_some() {
        return Err("their store is given versions, but has one value for each window; leave \
                    versioned() out"
            .to_owned());
    }
    let given_ms = store.retention.map_or(least_ms, millis);
    if given_ms < least_ms {
        return Err(format!(
            "their store keeps them for {given_ms} ms, and must keep them for {least_ms} ms at \
             least: as long as they and their grace last, or the gap and the grace of sessions, or \
             twice the time difference and the grace of sliding windows; give retention() more, or \
             leave it out"
        ));
    }
    Ok(given_ms)
}

impl Kept {
    fn retention(self) -> Duration {
        Duration::from_millis(self.retention_ms.unsigned_abs())
    }

    /// The store of windows of one length.
    pub(crate) fn windowed<K, A>(self, store: Materialized<K, A>) -> Materialized<K, A, Window> {
        let mut kind = Window::new(self.retention());
        if let Some(segment_ms) = self.segment_ms {
            kind = kind.with_segments_of(segment_ms);
        }
        let caching = store.caching && !self.forgoes_cache;
        Materialized { caching, ..store.kept(kind, self.retention_ms) }
    }

    /// The store of sessions.
    pub(crate) fn sessions<K, A>(self, store: Materialized<K, A>) -> Materialized<K, A, Session> {
        let caching = store.caching && !self.forgoes_cache;
        Materialized { caching, ..store.kept(Session::new(self.retention()), self.retention_ms) }
    }
}

impl<K: StoreKey, A: Data> KTable<Windowed<K>, A> {
    /// Says what `build` and the operators below should know of the table's windows.
    pub(crate) fn noted(self, kept: Kept, fault: Option<String>) -> Self {
        match fault {
            None => self.dsl.note_grace(self.node, kept.grace_ms),
            Some(reason) => self.refuse_windows(reason),
        }
        self
    }
}
