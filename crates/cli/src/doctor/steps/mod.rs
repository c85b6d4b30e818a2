//! What is examined, a file per step or kind of credential.

pub(crate) mod built;
pub(crate) mod certificate;
pub(crate) mod claims;
pub(crate) mod clock;
pub(crate) mod credential;
pub(crate) mod developer_api;
pub(crate) mod file;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod network;
pub(crate) mod pca;
pub(crate) mod plugin;
pub(crate) mod private_key;
pub(crate) mod proxy;
pub(crate) mod service_account;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod variables;
