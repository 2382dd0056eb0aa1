//! What a wrapper of a format is, such as [`Json`](super::Json): the value, and a serde by type.

/// Makes the wrapper of a format, whose serde is made for any `T` that the crate `serde` knows.
macro_rules! wrapper {
    ($(#[$about:meta])* $wrapper:ident, $serde:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $wrapper<T>(pub T);

        impl<T> ::std::ops::Deref for $wrapper<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> ::std::ops::DerefMut for $wrapper<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }

        impl<T> From<T> for $wrapper<T> {
            fn from(value: T) -> Self {
                Self(value)
            }
        }

        impl<T> $crate::serde::HasSerde for $wrapper<T>
        where
            T: ::serde::Serialize + ::serde::de::DeserializeOwned + 'static,
        {
            fn serde() -> $crate::serde::DynSerde<Self> {
                $serde::dynamic()
            }
        }
    };
}

pub(super) use wrapper;
