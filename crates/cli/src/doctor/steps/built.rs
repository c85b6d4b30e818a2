//! What the crate itself says of the configuration: a handle, or faults; and its warnings.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tower_idaas::{ConfigError, ConfigFault, Idaas, IdaasBuilder};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::Step;
use super::super::surroundings::Surroundings;

#[derive(Debug)]
pub(crate) struct Built {
    result: Result<Idaas, ConfigError>,
    pub(crate) warnings: Vec<String>,
}

impl Built {
    /// `path` is that of the file.
    pub(crate) fn new(builder: IdaasBuilder, path: &Path) -> Self {
        let warnings = Warnings::default();
        let subscriber = tracing_subscriber::registry().with(warnings.clone());
        let result = tracing::subscriber::with_default(subscriber, || builder.build());
        let warnings = std::mem::take(&mut *warnings.0.lock().unwrap_or_else(PoisonError::into_inner));
        // The file is named once, in its own step.
        let origin = format!("configuration {}: ", path.display());
        let warnings = warnings.iter().map(|warning| display::line(&warning.replace(&origin, ""))).collect();
        Self { result, warnings }
    }

    pub(crate) fn idaas(&self) -> Option<&Idaas> {
        self.result.as_ref().ok()
    }

    /// The faults of the file as a whole.
    pub(crate) fn faults_of_file(&self) -> Vec<String> {
        self.all().iter().filter(|fault| fault.key().is_empty()).map(text_of).collect()
    }

    /// Every fault, with the step it belongs to.
    pub(crate) fn faults(&self, config: &ConfigFile, surroundings: &Surroundings) -> Faults {
        let owned = |fault: &ConfigFault| (owner(fault, config, surroundings), text_of(fault));
        Faults(self.all().iter().map(owned).collect())
    }

    pub(crate) fn all(&self) -> &[ConfigFault] {
        self.result.as_ref().err().map(ConfigError::faults).unwrap_or_default()
    }
}

/// The crate's faults by step.
#[derive(Debug)]
pub(crate) struct Faults(Vec<(Step, String)>);

impl Faults {
    pub(crate) fn of(&self, step: Step) -> Vec<String> {
        self.0.iter().filter(|(owner, _)| *owner == step).map(|(_, text)| text.clone()).collect()
    }
}

fn text_of(fault: &ConfigFault) -> String {
    display::chain(fault)
}

/// A key is one thing, and what it leads to another.
fn owner(fault: &ConfigFault, config: &ConfigFile, surroundings: &Surroundings) -> Step {
    let key = fault.key().rsplit('.').next().unwrap_or_default();
    match key {
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => Step::Tls,
        "HTTPS_PROXY" | "https_proxy" | "ALL_PROXY" | "all_proxy" => Step::Proxy,
        "oidcTokenFilePath" => Step::Credential,
        "clientSecretFilePath"
        | "privateKeyFilePath"
        | "privateKeyId"
        | "clientX509Certificate"
        | "clientX509CertificatePath"
        | "x509CertChains"
        | "x509CertChainsPath"
            if config.get(key).is_some() =>
        {
            Step::Credential
        }
        _ if key.ends_with("EnvVarName") => match config.get(key).and_then(display::variable_name) {
            Some(name) if surroundings.first(&[name]).is_some() => Step::Credential,
            Some(_) => Step::Variables,
            None => Step::Keys,
        },
        _ => Step::Keys,
    }
}

/// Collects the messages of events that warn.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::WARN {
            let mut message = Message::default();
            event.record(&mut message);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.0);
        }
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
