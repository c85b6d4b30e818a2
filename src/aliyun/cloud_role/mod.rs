//! STS credentials of cloud roles, through the DeveloperAPI of IDaaS.

mod answer;
mod credentials;
mod developer_api;
mod role;
mod roles;
#[cfg(test)]
mod tests;

pub use self::credentials::{CloudCredentials, CloudStsToken, StsToken};
pub(crate) use self::developer_api::DeveloperApi;
pub use self::role::CloudRole;
pub(crate) use self::roles::CloudRoles;
