//! Credentials of cloud roles for other SDKs: one short file for each, to copy into a program.
//!
//! | file | implements | for |
//! |---|---|---|
//! | `oss.rs` | reqsign's `ProvideCredential` | OSS, by reqsign's signer |
//! | `aws.rs` | `ProvideCredentials` of `aws-credential-types` | the AWS SDK |
//!
//! Both read the cache of [`CloudRole`](tower_idaas::aliyun::CloudRole), which renews credentials in the background and may
//! be asked for each request. An SDK that caches as well asks late; each file says how that is set, or what it means.

pub mod aws;
pub mod oss;
