//! What the contexts of processors that are a [`Processor`](super::Processor) inside have in common:
//! schedules, and all that every processor may know and do. What each of them forwards is its own.

/// Gives `$context`, a tuple of the context of the [`Processor`](super::Processor) that `$processor` is
/// inside, what it has in common with the others. `$own` is where that one has the processor of the user's.
macro_rules! context_inside {
    ($context:ident, $processor:ident, |$inside:ident| $own:expr) => {
        impl<P: $processor> $context<'_, P> {
            /// Calls `punctuator` each `interval` from now on: see [`ProcessorContext::schedule`].
            pub fn schedule<F>(
                &mut self,
                interval: std::time::Duration,
                kind: oncestream_core::task::PunctuationType,
                punctuator: F,
            ) -> oncestream_core::task::ScheduleId
            where
                F: Fn(
                        &mut P,
                        &mut $context<'_, P>,
                        oncestream_core::TimestampMs,
                    ) -> Result<(), oncestream_core::error::BoxError>
                    + 'static,
            {
                self.0.schedule(interval, kind, move |$inside, ctx, timestamp| {
                    punctuator(&mut $own, &mut $context(ctx.reborrow()), timestamp)
                })
            }

            /// Ends a schedule. One that is gone already is fine.
            pub fn cancel(&mut self, schedule: oncestream_core::task::ScheduleId) {
                self.0.cancel(schedule);
            }
        }

        impl<P: $processor> std::fmt::Debug for $context<'_, P> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($context)).field(&**self).finish()
            }
        }

        impl<'a, P: $processor> std::ops::Deref for $context<'a, P> {
            type Target = $crate::processor::ProcessingContext<'a>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<P: $processor> std::ops::DerefMut for $context<'_, P> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }
    };
}

pub(super) use context_inside;
