//! Federated credentials: whom the token endpoint trusts beside its own client secrets.

use std::io;
use std::sync::Arc;

use crate::TestIdaas;
use crate::attestation::Attestation;
use crate::form::Form;
use crate::refusal::Refusal;
use crate::service_account::ServiceAccounts;
use tower_idaas::clock::Clock;

/// The fields of the methods that go by a federated credential.
pub(super) const FIELDS: &[&str] =
    &["application_federated_credential_name", "client_assertion_type", "client_assertion"];

/// Who signs what federated credentials trust.
pub(crate) struct Federation {
    pub(crate) service_accounts: ServiceAccounts,
    pub(crate) attestation: Arc<Attestation>,
    pub(crate) clock: Clock,
}

impl Federation {
    /// Tokens of service accounts are for this audience.
    pub(crate) fn generate(audience: &str, clock: &Clock) -> io::Result<Self> {
        Ok(Self {
            service_accounts: ServiceAccounts::generate(audience.to_owned(), clock.clone())?,
            attestation: Arc::new(Attestation::generate()?),
            clock: clock.clone(),
        })
    }
}

/// The assertion, if it is for the credential that is registered.
pub(super) fn assertion(form: &Form) -> Result<&str, Refusal> {
    if form.required("application_federated_credential_name")? != TestIdaas::FEDERATED_CREDENTIAL {
        return Err(Refusal::invalid_client("there is no federated credential of this name"));
    }
    form.required("client_assertion")
}
