//! The one filter of templates: `bare`, for values that stand without quotes.

#![allow(unreachable_pub, reason = "the macro makes a public type of the function")]

use std::fmt;

use askama::Values;
use askama::filters::Safe;

/// What all output formats write without quotes: numbers and booleans. Never text.
pub(crate) trait Bare: fmt::Display {}

impl Bare for bool {}
impl Bare for u8 {}
impl Bare for u32 {}
impl<T: Bare + ?Sized> Bare for &T {}

/// Writes a value without quotes.
#[askama::filter_fn]
pub(crate) fn bare<T: Bare>(value: T, _: &dyn Values) -> askama::Result<Safe<T>> {
    Ok(Safe(value))
}
