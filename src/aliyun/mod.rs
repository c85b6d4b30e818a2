//! The Alibaba Cloud side: identities of Alibaba Cloud, and what can be had with one.

#[allow(dead_code, reason = "the first users are being written")]
mod answer;
#[allow(dead_code, reason = "the first users are being written")]
mod call;
mod credential;
#[allow(dead_code, reason = "the first users are being written")]
mod signature;

#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::call::{Call, member};
#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::credential::{Credential, CredentialSource};
