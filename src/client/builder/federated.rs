//! The methods that go by a federated credential: OIDC and PKCS7.

use std::path::PathBuf;
use std::sync::Arc;

use crate::authn::{AssertionSource, Authenticator, Cloud, Oidc, Pkcs7};
use crate::client::builder::IdaasBuilder;
use crate::config::AuthnMethod;
use crate::error::{ConfigError, ConfigFault};

impl IdaasBuilder {
    /// Authenticates with OIDC: a token of another issuer, in a file that somebody else keeps fresh, such as
    /// the token of a Kubernetes service account. A leading `~` is the home directory.
    ///
    /// The file is read at every token request, and white space around the token is removed. While the file
    /// cannot be read, the token that was read last serves until it expires; one that does not tell its
    /// expiry serves for a minute. A token that has expired is sent as it is, with a warning.
    pub fn oidc(mut self, credential_name: impl Into<String>, token_file: impl Into<PathBuf>) -> Self {
        let (credential_name, token_file) = (credential_name.into(), Some(token_file.into()));
        self.given.authn_in_code = Some(AuthnMethod::Oidc { credential_name, token_file });
        self
    }

    /// Authenticates with OIDC, with tokens from a source of your own.
    pub fn oidc_source(mut self, credential_name: impl Into<String>, source: impl AssertionSource) -> Self {
        let credential_name = credential_name.into();
        self.given.authn_in_code = Some(AuthnMethod::Oidc { credential_name, token_file: None });
        self.assertion_source = Some(Arc::new(source));
        self
    }

    /// Authenticates with PKCS7: a document that the metadata service of Alibaba Cloud ECS signs for the
    /// instance this program runs on.
    ///
    /// The service is asked without a proxy: for a metadata token, then for the document. Each of the two is given
    /// up without a connection within a second, or without an answer within another. A document is used again
    /// for 50 of the 60 minutes that it is good for.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn pkcs7(self, credential_name: impl Into<String>) -> Self {
        self.pkcs7_of(credential_name.into(), Cloud::AlibabaCloudEcs)
    }

    /// Authenticates with PKCS7: the identity document (`rsa2048`) that the metadata service of AWS EC2 signs
    /// for the instance this program runs on.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn pkcs7_aws_ec2(self, credential_name: impl Into<String>) -> Self {
        self.pkcs7_of(credential_name.into(), Cloud::AwsEc2)
    }

    /// Authenticates with PKCS7, with documents from a source of your own.
    pub fn pkcs7_source(mut self, credential_name: impl Into<String>, source: impl AssertionSource) -> Self {
        let credential_name = credential_name.into();
        self.given.authn_in_code = Some(AuthnMethod::Pkcs7 { credential_name, cloud: None });
        self.assertion_source = Some(Arc::new(source));
        self
    }

    /// Where the metadata service is that PKCS7 and the RAM role of an ECS instance ask, `http://host:port`. By default where the cloud has it:
    /// `http://100.100.100.200` or `http://169.254.169.254`.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn metadata_address(mut self, address: impl Into<String>) -> Self {
        self.metadata_address = Some(address.into());
        self
    }

    #[cfg(feature = "transport")]
    fn pkcs7_of(mut self, credential_name: String, cloud: Cloud) -> Self {
        self.given.authn_in_code = Some(AuthnMethod::Pkcs7 { credential_name, cloud: Some(cloud) });
        self
    }
}

pub(super) fn oidc(
    credential_name: String,
    token_file: Option<PathBuf>,
    source: Option<Arc<dyn AssertionSource>>,
) -> Result<Arc<dyn Authenticator>, ConfigError> {
    match (token_file, source) {
        (Some(path), _) => Ok(Arc::new(Oidc::from_file(credential_name, path))),
        (None, Some(source)) => Ok(Arc::new(Oidc::from_source(credential_name, source))),
        (None, None) => Err(no_source()),
    }
}

pub(super) fn pkcs7(
    credential_name: String,
    cloud: Option<Cloud>,
    address: Option<&str>,
    source: Option<Arc<dyn AssertionSource>>,
) -> Result<Arc<dyn Authenticator>, ConfigError> {
    let source = match (cloud, source) {
        (Some(cloud), _) => metadata_document(cloud, address)?,
        (None, Some(source)) => source,
        (None, None) => return Err(no_source()),
    };
    Ok(Arc::new(Pkcs7::new(credential_name, source)))
}

#[cfg(feature = "transport")]
fn metadata_document(cloud: Cloud, address: Option<&str>) -> Result<Arc<dyn AssertionSource>, ConfigError> {
    let document = crate::authn::MetadataDocument::new(cloud, address).map_err(ConfigError::one)?;
    Ok(Arc::new(document))
}

#[cfg(not(feature = "transport"))]
fn metadata_document(_: Cloud, _: Option<&str>) -> Result<Arc<dyn AssertionSource>, ConfigError> {
    let problem = "is PKCS7, which asks the cloud's metadata service, and the feature `transport` is off; turn \
                   it on, or give documents of your own with `IdaasBuilder::pkcs7_source`";
    Err(ConfigError::one(ConfigFault::new("authnConfiguration.authnMethod", problem)))
}

/// Code sets the method and its source together, so this is not to be met.
fn no_source() -> ConfigError {
    ConfigError::one(ConfigFault::new("", "no source of assertions is given; give one"))
}

#[cfg(all(test, not(feature = "transport")))]
mod tests {
    use super::*;

    #[test]
    fn without_a_client_of_its_own_pkcs7_needs_a_source() {
        let error = pkcs7("f".into(), Some(Cloud::AlibabaCloudEcs), None, None).unwrap_err().to_string();
        for part in ["`authnConfiguration.authnMethod`", "feature `transport` is off", "pkcs7_source"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
