//! The Alibaba Cloud side: STS credentials of cloud roles, and secrets stored in IDaaS.
//!
//! Entry points: [`Idaas::cloud_role`](crate::Idaas::cloud_role), [`Idaas::api_key`](crate::Idaas::api_key),
//! [`Idaas::oauth_client`](crate::Idaas::oauth_client) and [`Idaas::oauth_token`](crate::Idaas::oauth_token).

mod bearer;
mod cloud_role;
mod credential;
mod developer_api;
mod keyed_slots;
mod life;
mod openapi;
mod profile;
mod signature;
mod signed_call;
mod stored;

pub(crate) use self::cloud_role::CloudRoles;
pub use self::cloud_role::{CloudCredentials, CloudRole, CloudStsToken, StsToken};
pub(crate) use self::credential::{Credential, CredentialProvider, DefaultChain, Injected};
pub(crate) use self::developer_api::DeveloperApi;
pub(crate) use self::openapi::GenerateOauthToken;
pub(crate) use self::signed_call::Channel;
pub(crate) use self::stored::StoredSecrets;
pub use self::stored::{
    ApiKey, ConsentRequired, OauthAccessToken, OauthClient, OauthClientCredentials, OauthToken,
};
