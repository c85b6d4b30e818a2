//! The Alibaba Cloud side: identities of Alibaba Cloud, and what can be had with one.

mod answer;
mod call;
mod credential;
mod openapi;
mod signature;

use self::call::nonce;
pub(crate) use self::call::{Call, member};
pub(crate) use self::credential::{Credential, CredentialSource, DefaultChain, Injected};
pub(crate) use self::openapi::GenerateOauthToken;
