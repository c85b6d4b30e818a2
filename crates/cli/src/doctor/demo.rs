//! Offline: an IDaaS in this process, and a configuration for it that is right, or wrong in one way.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tower_idaas::BoxError;
use tower_idaas::clock::ManualClock;
use tower_idaas_testing::{ClientAuthentication, ServerCertificate, TestIdaas};

use super::examination;
use super::report::Report;
use super::surroundings::{PATH_VARIABLE, Surroundings};

/// What can be wrong in a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    WrongSecret,
    MissingVariable,
    EndpointDown,
    UntrustedCertificate,
    ClockOff,
    ExpiredCertificate,
    TypoInKey,
}

/// Everything a demo needs, for as long as it lives.
pub(crate) struct Demo {
    pub(crate) server: TestIdaas,
    pub(crate) surroundings: Surroundings,
    pub(crate) config: PathBuf,
    /// Goes with the demo.
    _folder: TempDir,
}

impl Demo {
    pub(crate) async fn start(fault: Option<Fault>) -> Result<Self, BoxError> {
        let method = match fault {
            Some(Fault::ExpiredCertificate) => ClientAuthentication::Pca,
            Some(Fault::ClockOff) => ClientAuthentication::PrivateKeyJwt,
            _ => ClientAuthentication::SecretBasic,
        };
        let mut server = TestIdaas::builder().client("app_demo", "not-a-real-secret-of-the-demo");
        server = match fault {
            Some(Fault::UntrustedCertificate) => server.certificate(ServerCertificate::UnknownAuthority),
            Some(Fault::ClockOff) => {
                let clock = ManualClock::new();
                clock.advance(Duration::from_secs(3_600));
                server.clock(clock)
            }
            _ => server,
        };
        let mut demo = Self::with(server.start().await?, method)?;
        if let Some(fault) = fault {
            demo.spoil(fault).await?;
        }
        Ok(demo)
    }

    /// With nothing wrong.
    pub(crate) fn with(server: TestIdaas, method: ClientAuthentication) -> Result<Self, BoxError> {
        let folder = tempfile::tempdir()
            .map_err(|error| format!("{error}; set TMPDIR to a directory that can be written"))?;
        let config = server.write_config(folder.path(), method)?;
        let roots = server.write_root_certificate(folder.path())?;
        let token_file = server.write_service_account_token(folder.path())?;
        let mut surroundings = Surroundings::of_demo([
            (PATH_VARIABLE, config.clone()),
            ("SSL_CERT_FILE", roots),
            (TestIdaas::TOKEN_FILE_VARIABLE, token_file),
        ]);
        surroundings.set("HOME", folder.path());
        surroundings.set(TestIdaas::SECRET_VARIABLE, server.secret().expose_secret());
        surroundings.set(TestIdaas::PRIVATE_KEY_VARIABLE, server.private_key_pem().expose_secret());
        Ok(Self { server, surroundings, config, _folder: folder })
    }

    async fn spoil(&mut self, fault: Fault) -> Result<(), BoxError> {
        match fault {
            Fault::WrongSecret => {
                self.surroundings.set(TestIdaas::SECRET_VARIABLE, "marker-of-a-wrong-secret");
            }
            Fault::MissingVariable => self.surroundings.remove(TestIdaas::SECRET_VARIABLE),
            Fault::EndpointDown => self.server.down().await,
            // The server was started so.
            Fault::UntrustedCertificate | Fault::ClockOff => {}
            Fault::ExpiredCertificate => {
                self.change("clientX509Certificate", &self.expired_certificate()?.into())?;
            }
            Fault::TypoInKey => {
                let text = std::fs::read_to_string(&self.config)?;
                std::fs::write(
                    &self.config,
                    text.replace("clientSecretEnvVarName", "clientSecretEnvVarNam"),
                )?;
            }
        }
        Ok(())
    }

    /// Gives a key of `authnConfiguration` another value.
    pub(crate) fn change(&self, key: &str, value: &serde_json::Value) -> Result<(), BoxError> {
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&self.config)?)?;
        let authn = config.get_mut("authnConfiguration").and_then(|authn| authn.as_object_mut());
        authn
            .ok_or("the demo's configuration has no `authnConfiguration`")?
            .insert(key.to_owned(), value.clone());
        Ok(std::fs::write(&self.config, config.to_string())?)
    }

    /// One for the client's own key whose time is over.
    fn expired_certificate(&self) -> Result<String, BoxError> {
        let key = rcgen::KeyPair::from_pem(self.server.private_key_pem().expose_secret())?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "app_demo");
        parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
        Ok(parameters.self_signed(&key)?.pem())
    }

    /// As if the program were run there without arguments.
    pub(crate) async fn examine(&self, mut report: Report) -> Report {
        report.is_demo = true;
        examination::examine(report, &self.surroundings, None).await
    }
}
