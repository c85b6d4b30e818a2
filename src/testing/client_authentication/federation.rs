//! Federated credentials: whom the token endpoint trusts beside its own client secrets.

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::testing::TestIdaas;
use crate::testing::attestation::Attestation;
use crate::testing::form::Form;
use crate::testing::refusal::Refusal;
use crate::testing::service_account::ServiceAccounts;

/// The fields of the methods that go by a federated credential.
pub(super) const FIELDS: &[&str] =
    &["application_federated_credential_name", "client_assertion_type", "client_assertion"];

/// Who signs what federated credentials trust.
pub(in crate::testing) struct Federation {
    pub(in crate::testing) service_accounts: ServiceAccounts,
    pub(in crate::testing) attestation: Arc<Attestation>,
    pub(in crate::testing) clock: Clock,
}

impl Federation {
    /// Tokens of service accounts are for this audience.
    pub(in crate::testing) fn generate(audience: &str, clock: &Clock) -> io::Result<Self> {
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
