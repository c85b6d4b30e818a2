//! PKCS7: a document that the cloud's metadata service signs for the machine this program runs on.

use std::sync::Arc;
#[cfg(feature = "transport")]
use std::time::Duration;

use crate::authn::assertion_source::compact;
#[cfg(feature = "transport")]
use crate::authn::metadata_document::{Cloud, MetadataDocument};
use crate::authn::{AssertionSource, Authenticator, BuiltIn, CheckContext, TokenRequest, check};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer";

/// PKCS7: a document that a cloud's metadata service signs for this machine, and the federated credential that trusts
/// its signer.
///
/// ```
/// use tower_idaas::authn::Pkcs7;
///
/// # #[cfg(feature = "transport")]
/// let method = Pkcs7::alibaba_cloud_ecs("orders-on-ecs");
/// ```
#[derive(Clone, Debug)]
pub struct Pkcs7 {
    credential_name: String,
    document: Document,
    /// Options that do not apply.
    misplaced: Vec<ConfigFault>,
}

#[derive(Clone, Debug)]
enum Document {
    #[cfg(feature = "transport")]
    Metadata(MetadataDocument),
    Own(Arc<dyn AssertionSource>),
}

/// `credential_name` is the name of the application's federated credential.
impl Pkcs7 {
    /// Takes the document from the metadata service of Alibaba Cloud ECS or ECI.
    ///
    /// The service is called without a proxy: for a metadata token, then for the document. Each call fails without a
    /// connection within a second, or without a response within another. A document is reused for 50 of the 60 minutes
    /// that it is valid.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn alibaba_cloud_ecs(credential_name: impl Into<String>) -> Self {
        Self::of_cloud(credential_name, Cloud::AlibabaCloudEcs)
    }

    /// Takes the identity document (`rsa2048`) from the metadata service of AWS EC2.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn aws_ec2(credential_name: impl Into<String>) -> Self {
        Self::of_cloud(credential_name, Cloud::AwsEc2)
    }

    /// Takes the attested document from the metadata service of an Azure virtual machine.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn azure(credential_name: impl Into<String>) -> Self {
        Self::of_cloud(credential_name, Cloud::Azure)
    }

    #[cfg(feature = "transport")]
    pub(crate) fn of_cloud(credential_name: impl Into<String>, cloud: Cloud) -> Self {
        Self::new(credential_name, Document::Metadata(MetadataDocument::new(cloud)))
    }

    /// Takes the document from a source of your own: base64 of the signature, as metadata services return it.
    pub fn from_source(credential_name: impl Into<String>, source: impl AssertionSource) -> Self {
        Self::new(credential_name, Document::Own(Arc::new(source)))
    }

    /// The address of the metadata service, `http://host:port`. Default: the cloud's own, `http://100.100.100.200` or
    /// `http://169.254.169.254`.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    #[must_use]
    pub fn metadata_address(mut self, address: impl AsRef<str>) -> Self {
        match self.document {
            Document::Metadata(document) => self.document = Document::Metadata(document.at(address.as_ref())),
            Document::Own(_) => self.misplaced.push(ConfigFault::new(
                "metadata_address",
                "is set for a source of documents that uses no metadata service; set it on the source",
            )),
        }
        self
    }

    /// How long IDaaS accepts a document from its signing time, by its trust source: 3600 seconds by default, from 1201
    /// to 1314000. A document of Alibaba Cloud is reused for five sixths of this time; those of other clouds have no
    /// signing time and are used once, so that a life for them is a fault.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    #[must_use]
    pub fn document_life(mut self, life: Duration) -> Self {
        match self.document {
            Document::Metadata(document) => self.document = Document::Metadata(document.with_life(life)),
            Document::Own(_) => self.misplaced.push(ConfigFault::new(
                "document_life",
                "is set for a source of documents of the program's own, which decides itself how long \
                 to reuse them; remove it",
            )),
        }
        self
    }

    fn new(credential_name: impl Into<String>, document: Document) -> Self {
        Self { credential_name: credential_name.into(), document, misplaced: Vec::new() }
    }

    fn source(&self) -> &dyn AssertionSource {
        match &self.document {
            #[cfg(feature = "transport")]
            Document::Metadata(document) => document,
            Document::Own(source) => source,
        }
    }
}

impl Authenticator for Pkcs7 {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            // A document may hold its signing time.
            request.depends_on_time();
            let assertion = self.source().assertion(request).await?;
            let document = compact(assertion.expose_secret()).ok_or_else(|| {
                let problem = "the attested document is not base64 text; check what gives it";
                Error::new(ErrorKind::Credential, problem)
            })?;
            request.note_secret(&document);
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", ASSERTION_TYPE.to_owned());
            request.add_field("client_assertion", document);
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let name = check::credential_name(&self.credential_name);
        name.into_iter().chain(self.misplaced.iter().cloned()).chain(self.source().check(context)).collect()
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("PKCS7")
    }
}
