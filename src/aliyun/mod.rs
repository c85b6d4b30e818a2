//! The Alibaba Cloud side: identities of Alibaba Cloud, and what can be had with one.

mod credential;

#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::credential::{Credential, CredentialSource, DefaultChain, Injected};
