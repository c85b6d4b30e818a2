//! The handle and its builder, which are one room: each makes the other.

pub(crate) mod builder;
pub(crate) mod idaas;
