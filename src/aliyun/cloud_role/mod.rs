//! STS credentials of cloud roles, through the DeveloperAPI of IDaaS.

mod credentials;
mod obtain;
mod role;
mod roles;
#[cfg(test)]
mod tests;

pub use self::credentials::{CloudCredentials, CloudStsToken, StsToken};
pub use self::role::CloudRole;
pub(crate) use self::roles::CloudRoles;
