//! The user's function of a join, as the nodes call it: which results there are is the kind's business.

use std::any::Any;
use std::sync::Arc;

/// What makes a result of a record of each stream, or of one alone.
pub(super) trait Joiner<K, L, R, O>: Send + Sync + 'static {
    /// Whether a left record that was joined with none is a result.
    const KEEPS_LEFT: bool;
    /// Whether a right one is.
    const KEEPS_RIGHT: bool;

    /// The result; `None` where this kind of join has none.
    fn join(&self, key: &K, left: Option<&L>, right: Option<&R>) -> Option<O>;
}

/// Pairs alone.
pub(super) struct Inner<F>(pub(super) F);

impl<K, L, R, O, F> Joiner<K, L, R, O> for Inner<F>
where
    F: Fn(&K, &L, &R) -> O + Send + Sync + 'static,
{
    const KEEPS_LEFT: bool = false;
    const KEEPS_RIGHT: bool = false;

    fn join(&self, key: &K, left: Option<&L>, right: Option<&R>) -> Option<O> {
        Some((self.0)(key, left?, right?))
    }
}

/// Pairs, and each left record without one.
pub(super) struct Left<F>(pub(super) F);

impl<K, L, R, O, F> Joiner<K, L, R, O> for Left<F>
where
    F: Fn(&K, &L, Option<&R>) -> O + Send + Sync + 'static,
{
    const KEEPS_LEFT: bool = true;
    const KEEPS_RIGHT: bool = false;

    fn join(&self, key: &K, left: Option<&L>, right: Option<&R>) -> Option<O> {
        Some((self.0)(key, left?, right))
    }
}

/// Pairs, and each record of either stream without one.
pub(super) struct Outer<F>(pub(super) F);

impl<K, L, R, O, F> Joiner<K, L, R, O> for Outer<F>
where
    F: Fn(&K, Option<&L>, Option<&R>) -> O + Send + Sync + 'static,
{
    const KEEPS_LEFT: bool = true;
    const KEEPS_RIGHT: bool = true;

    fn join(&self, key: &K, left: Option<&L>, right: Option<&R>) -> Option<O> {
        Some((self.0)(key, left, right))
    }
}

/// That of two streams, for one stream in the place of both.
pub(super) struct OfOne<J, L, R> {
    pub(super) joiner: Arc<J>,
    pub(super) as_right: fn(&L) -> &R,
}

impl<K, L, R, O, J> Joiner<K, L, L, O> for OfOne<J, L, R>
where
    L: 'static,
    R: 'static,
    J: Joiner<K, L, R, O>,
{
    const KEEPS_LEFT: bool = J::KEEPS_LEFT;
    const KEEPS_RIGHT: bool = J::KEEPS_RIGHT;

    fn join(&self, key: &K, left: Option<&L>, right: Option<&L>) -> Option<O> {
        self.joiner.join(key, left, right.map(self.as_right))
    }
}

/// A value of one type as one of the other, if they are the same.
pub(super) fn same_type<L: 'static, R: 'static>() -> Option<fn(&L) -> &R> {
    let same: fn(&L) -> &L = |value| value;
    (&same as &dyn Any).downcast_ref::<fn(&L) -> &R>().copied()
}
