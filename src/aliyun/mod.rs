//! The Alibaba Cloud side: STS credentials of cloud roles.
//!
//! [`Idaas::cloud_role`](crate::Idaas::cloud_role) is the way in.

mod cloud_role;
mod credential;
mod developer_api;
mod openapi;
mod profile;
mod signature;
mod signed_call;

pub(crate) use self::cloud_role::CloudRoles;
pub use self::cloud_role::{CloudCredentials, CloudRole, CloudStsToken, StsToken};
pub(crate) use self::credential::{Credential, CredentialProvider, DefaultChain, Injected};
pub(crate) use self::developer_api::DeveloperApi;
pub(crate) use self::openapi::GenerateOauthToken;
pub(crate) use self::signed_call::Channel;
