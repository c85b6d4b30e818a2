//! The Alibaba Cloud side: identities of Alibaba Cloud, and what can be had with one.

mod answer;
mod call;
mod credential;
mod signature;

#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::call::{Call, member};
use self::call::nonce;
pub(crate) use self::credential::{Credential, CredentialSource, DefaultChain, Injected};
