//! The issuer: who asks at its token endpoint, what is granted, and what is signed.

pub(crate) mod access_token;
pub(crate) mod attestation;
pub(crate) mod client_authentication;
pub(crate) mod client_keys;
pub(crate) mod exchange;
pub(crate) mod form;
pub(crate) mod grants;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod service;
pub(crate) mod service_account;
mod signed_data;
pub(crate) mod token_endpoint;
