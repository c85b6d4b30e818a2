//! The handle and its builder.

pub(crate) mod builder;
pub(crate) mod idaas;
