//! The left table's side, where responses come in: joins those that answer the current left value.
//!
//! Invariants:
//! - A response that answers an older value is dropped, so that foreign keys which change quickly give no
//!   result that was never true. A later response answers the current value.
//! - A result does not outlive what it was made of: if it was the response without a value that is dropped, the
//!   key is [in doubt](super::doubts), or its row cannot have a result, which is told at once.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};
use oncestream_core::{Record, TimestampMs};

use super::codec::{Codec, failed};
use super::doubts::Doubts;
use super::murmur3::hash128;
use super::response::Response;
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;
use crate::table::Reader;

/// Whether a row of the left table has a foreign key.
pub(super) type IsKeyed<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

/// What a response gives.
enum Resolved<V, R> {
    /// This result, or none.
    Result(Option<R>),
    /// It answers an older row.
    Stale,
    /// The same, and the row as it is now cannot have a result.
    NoResult,
    /// It takes back what an older row may have given; this row has to ask again.
    InDoubt(V, TimestampMs),
}

/// Joins responses with the left table.
pub(super) struct Resolver<K, V, VO, R, J> {
    pub(super) name: Arc<str>,
    pub(super) table: Reader<K, V>,
    pub(super) values: Codec<V>,
    pub(super) bytes: Vec<u8>,
    pub(super) join: Arc<J>,
    /// Of an inner join: whether a row has a foreign key.
    pub(super) is_keyed: Option<IsKeyed<K, V>>,
    pub(super) doubts: Rc<RefCell<Doubts<K, V>>>,
    pub(super) out: Downstream<K, Option<R>>,
    pub(super) input: PhantomData<fn(VO)>,
}

impl<K: StoreKey, V: Data, VO: Data, R: Data, J> Node<K, Response<VO>> for Resolver<K, V, VO, R, J>
where
    J: Fn(&K, &V, Option<&VO>) -> Option<R>,
{
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Response<VO>>,
    ) -> Result<(), TaskError> {
        let Record { key, value: response, timestamp, headers } = record;
        let Self { table, values, bytes, join, is_keyed, .. } = self;
        let resolved = table.with(&key, timestamp, |found| {
            let current = found.filter(|(value, _)| !values.is_null(value));
            let written = current.map(|(value, _)| values.write(value, bytes)).transpose()?;
            if written.map(|_| hash128(bytes)) == response.hash {
                let other = response.value.as_ref();
                let joined = current.and_then(|(value, _)| join(&key, value, other));
                return Ok(Resolved::Result(joined));
            }
            // A left join is answered after each change, so no key of it is ever in doubt.
            let Some(is_keyed) = is_keyed.as_ref().filter(|_| response.value.is_none()) else {
                return Ok(Resolved::Stale);
            };
            Ok(match current {
                Some((value, time)) if is_keyed(&key, value) => {
                    Resolved::InDoubt(value.clone(), time)
                }
                _ => Resolved::NoResult,
            })
        });
        let at = FailedAt { node: &self.name, timestamp, headers: &headers };
        match resolved {
            Ok(Ok(Resolved::Result(value))) => {
                self.out.forward(ctx, Record { key, value, timestamp, headers })
            }
            Ok(Ok(Resolved::InDoubt(value, time))) => {
                self.doubts.borrow_mut().add(key, value, time);
                ctx.count_dropped();
                Ok(())
            }
            Ok(Ok(Resolved::NoResult)) => {
                ctx.count_dropped();
                self.out.forward(ctx, Record { key, value: None, timestamp, headers })
            }
            Ok(Ok(Resolved::Stale)) => {
                ctx.count_dropped();
                Ok(())
            }
            Ok(Err(error)) => failed(ctx, at, error),
            Err(error) => refused(ctx, at, error),
        }
    }
}
