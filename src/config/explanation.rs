//! What a configuration says, whether or not it can be used: for programs that explain it.

use std::path::PathBuf;

use http::Uri;

use crate::config::endpoint::{self, Query};
use crate::config::keys::ClientConfig;
use crate::config::{ConfigFile, load};
use crate::environment::Environment;

impl ConfigFile {
    /// Where the file is, and its text as far as it can be read.
    pub(crate) fn read(&self, environment: &Environment) -> (Option<PathBuf>, Option<String>) {
        let path = match self {
            Self::Search => load::locate(None, environment).ok(),
            Self::At(path) => load::locate(Some(path), environment).ok(),
            Self::Text(text) => return (None, load::decode(text.expose_secret().as_bytes()).ok()),
            Self::Absent => None,
        };
        let text = path.as_deref().and_then(|path| load::read(path, environment).ok());
        (path, text)
    }
}

impl ClientConfig {
    /// Takes from the file's text what code has not set. Returns whether the text is a JSON object.
    pub(crate) fn read(&mut self, text: &str) -> bool {
        self.fill(text).is_ok()
    }

    /// The text of this key, by the last part of its name in camelCase, unless it is blank.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let mut texts = self.client.texts().into_iter().chain(self.authn.texts());
        let field = texts.find(|field| field.key() == key)?;
        field.get().map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The DeveloperAPI, if one is named.
    pub(crate) fn developer_api(&self) -> Option<Uri> {
        Some(endpoint::parse(self.value("developerApiEndpoint")?, Query::Refused).ok()?.uri)
    }

    /// The endpoint that tokens are requested from, and its key.
    pub(crate) fn endpoint(&self) -> Option<(&'static str, Uri)> {
        let is_plugin = self.method_name().or(self.value("authnMethod")) == Some("PLUGIN");
        let (key, query) = match is_plugin {
            true => ("openApiEndpoint", Query::Refused),
            false => ("tokenEndpoint", Query::Allowed),
        };
        Some((key, endpoint::parse(self.value(key)?, query).ok()?.uri))
    }
}
