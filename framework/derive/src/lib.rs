//! The derives of `oncestream::serde`: `HasSerde` for a type of the user's, by a format's serde.
//!
//! It owns the code that is written into the user's crate, and knows no bytes. The crate `oncestream`
//! passes the derives on; their documentation with examples is there.
//!
//! Invariant: the code names nothing but `::oncestream::serde` and `::std`, so it depends on nothing that
//! the user has in scope.

use proc_macro::TokenStream;
use proc_macro2::{Ident, Span, TokenStream as Code};
use quote::quote_spanned;
use syn::{DeriveInput, Error, parse_macro_input, parse_quote_spanned};

/// Implements `HasSerde` by JSON.
#[proc_macro_derive(JsonSerde)]
pub fn json_serde(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), "JsonSerde").into()
}

/// Implements `HasSerde` by bincode 2.
#[proc_macro_derive(BincodeSerde)]
pub fn bincode_serde(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), "BincodeSerde").into()
}

/// The implementation for a type, by the serde of that name, or the error that the user reads.
fn derive(mut input: DeriveInput, serde: &str) -> Code {
    let name = input.ident.clone();
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = format!(
            "`{serde}` is for types that own their data, and `{name}` borrows for `{}`; \
             hold a `String`, a `Vec` or an `Arc` in place of the reference",
            lifetime.lifetime
        );
        return Error::new_spanned(lifetime, message).into_compile_error();
    }
    // Errors about a bound point at the type's name and not at the derive.
    let span = name.span().resolved_at(Span::call_site());
    let serde = Ident::new(serde, span);
    if !input.generics.params.is_empty() {
        // Which bounds the parameters need is the business of the format: it is asked for the whole type.
        let (_, arguments, _) = input.generics.split_for_impl();
        let bounds: [syn::WherePredicate; 2] = [
            parse_quote_spanned!(span=> #name #arguments: 'static),
            parse_quote_spanned!(span=> ::oncestream::serde::#serde<#name #arguments>:
                ::oncestream::serde::Serde<#name #arguments>),
        ];
        input.generics.make_where_clause().predicates.extend(bounds);
    }
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    quote_spanned! {span=>
        #[automatically_derived]
        impl #parameters ::oncestream::serde::HasSerde for #name #arguments #bounds {
            fn serde() -> ::oncestream::serde::DynSerde<Self> {
                ::std::sync::Arc::new(::oncestream::serde::#serde::<Self>::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    /// The code without spaces, which depend on who prints it.
    fn code(input: DeriveInput, serde: &str) -> String {
        derive(input, serde).to_string().replace(' ', "")
    }

    #[test]
    fn a_plain_type_has_no_bounds() {
        let code = code(
            parse_quote!(
                struct Order {
                    id: u64,
                }
            ),
            "JsonSerde",
        );
        assert!(code.contains("impl::oncestream::serde::HasSerdeforOrder{"), "{code}");
    }

    #[test]
    fn a_generic_type_asks_the_format_for_the_whole_type() {
        let input = parse_quote!(
            struct Page<T: Clone, const N: usize>
            where
                T: Send,
            {
                all: [T; N],
            }
        );
        let code = code(input, "BincodeSerde");
        let bound =
            "::oncestream::serde::BincodeSerde<Page<T,N>>:::oncestream::serde::Serde<Page<T,N>>";
        assert!(code.contains("whereT:Send,") && code.contains(bound), "{code}");
    }

    #[test]
    fn a_type_that_borrows_is_refused_with_what_to_do() {
        let code = code(
            parse_quote!(
                struct View<'a> {
                    all: &'a str,
                }
            ),
            "JsonSerde",
        );
        assert!(code.contains("compile_error") && code.contains("borrowsfor`'a`"), "{code}");
    }
}
