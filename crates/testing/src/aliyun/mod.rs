//! The Alibaba Cloud side: OpenAPI, STS, DeveloperAPI, metadata service, credentials URI, object storage.

pub(crate) mod access_key;
mod acs3;
pub(crate) mod cloud_account;
pub(crate) mod credentials_uri;
pub(crate) mod developer_api;
mod generate_oauth_token;
pub(crate) mod metadata_document;
pub(crate) mod metadata_service;
pub(crate) mod object_storage;
pub(crate) mod open_api;
pub(crate) mod open_api_refusal;
mod stored_secrets;
pub(crate) mod sts;
mod temporary_keys;
mod v4_signature;
