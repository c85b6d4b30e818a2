//! The file of an OIDC token, read at every token request.

use std::path::PathBuf;

use crate::authn::check::unusable;
use crate::authn::{AssertionSource, CheckContext, TokenRequest, option};
use crate::clock::Clock;
use crate::error::{BoxFuture, ConfigFault, Error};
use crate::secret::{Expected, FileKind, ReloadedFile, Secret};

/// A file that another program keeps up to date. While it cannot be read, the last token is used until it expires.
#[derive(Debug)]
pub(super) struct OidcTokenFile(ReloadedFile);

impl OidcTokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(ReloadedFile::new(path, FileKind::Token))
    }
}

impl AssertionSource for OidcTokenFile {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(self.0.read(request.environment(), request.timestamp(), Expected::secret()))
    }

    /// The file must hold a token when the handle is built.
    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let read = self.0.read_blocking(context.environment(), Clock::System.now(), Expected::secret());
        read.err().map(|error| unusable(option::TOKEN_FILE, error)).into_iter().collect()
    }
}
