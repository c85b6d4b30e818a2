//! The Alibaba Cloud side: STS credentials of cloud roles.
//!
//! [`Idaas::cloud_role`](crate::Idaas::cloud_role) is the way in.

mod answer;
mod call;
mod cloud_role;
mod credential;
mod openapi;
mod signature;

pub(crate) use self::call::{Call, member};
pub use self::cloud_role::{CloudCredentials, CloudRole, CloudStsToken, StsToken};
pub(crate) use self::cloud_role::{CloudRoles, DeveloperApi};
pub(crate) use self::credential::{Credential, CredentialSource, DefaultChain, Injected};
pub(crate) use self::openapi::GenerateOauthToken;
