//! The Alibaba Cloud side: STS credentials of cloud roles.
//!
//! [`Idaas::cloud_role`](crate::Idaas::cloud_role) is the way in.

#[allow(dead_code, reason = "the first users are being written")]
mod answer;
#[allow(dead_code, reason = "the first users are being written")]
mod call;
mod cloud_role;
mod credential;
#[allow(dead_code, reason = "the first users are being written")]
mod signature;

#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::call::{Call, member};
pub use self::cloud_role::{CloudCredentials, CloudRole, CloudStsToken, StsToken};
pub(crate) use self::cloud_role::{CloudRoles, DeveloperApi};
#[allow(unused_imports, reason = "the first users are being written")]
pub(crate) use self::credential::{Credential, CredentialSource};
