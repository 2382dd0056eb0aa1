//! The left table's side, where responses come in: joins those that answer the current left value.
//!
//! Invariant: a response that answers an older value is dropped, so that foreign keys which change quickly
//! give no result that was never true. A later response answers the current value.

use std::marker::PhantomData;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, FailedAt, Node};

use super::codec::{Codec, failed};
use super::murmur3::hash128;
use super::response::Response;
use crate::dsl::{Data, StoreKey};
use crate::refused::refused;
use crate::table::Reader;

/// Joins responses with the left table.
pub(super) struct Resolver<K, V, VO, R, J> {
    pub(super) name: Arc<str>,
    pub(super) table: Reader<K, V>,
    pub(super) values: Codec<V>,
    pub(super) bytes: Vec<u8>,
    pub(super) join: Arc<J>,
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
        let Self { table, values, bytes, join, .. } = self;
        let resolved = table.with(&key, timestamp, |found| {
            let current = found.map(|(value, _)| value).filter(|value| !values.is_null(value));
            let written = current.map(|value| values.write(value, bytes)).transpose()?;
            if written.map(|_| hash128(bytes)) != response.hash {
                return Ok(None);
            }
            Ok(Some(current.and_then(|value| join(&key, value, response.value.as_ref()))))
        });
        let at = FailedAt { node: &self.name, timestamp, headers: &headers };
        match resolved {
            Ok(Ok(Some(value))) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            Ok(Ok(None)) => {
                ctx.count_dropped();
                Ok(())
            }
            Ok(Err(error)) => failed(ctx, at, error),
            Err(error) => refused(ctx, at, error),
        }
    }
}
