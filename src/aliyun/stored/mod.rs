//! Secrets stored in IDaaS, and access tokens of third parties that it obtains: fetched through the DeveloperAPI,
//! cached, and put on requests.

mod api_key;
mod client_credentials;
mod consent;
mod credential;
mod oauth_client;
mod oauth_token;
mod secrets;
mod third_party;

pub use self::api_key::ApiKey;
pub use self::client_credentials::OauthClientCredentials;
pub use self::consent::ConsentRequired;
pub use self::oauth_client::OauthClient;
pub use self::oauth_token::{OauthAccessToken, OauthToken};
pub(crate) use self::secrets::StoredSecrets;
