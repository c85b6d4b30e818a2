//! TLS as a client: its crypto provider, the authorities that are trusted, and one configuration for all clients of a
//! process that trust the same authorities.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;

use crate::clock::{Clock, nanos};
use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::secret::bounded_read::bounded;
use crate::secret::off_worker::off_worker;
use crate::transport::roots::{Authorities, Stamped};

/// The shortest time between two checks of the authorities' files when connections are opened.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The same when clients are built. A gateway builds hundreds in a row, and a folder of authorities has hundreds of
/// files; a file's modification time is hardly finer than this.
const BUILD_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// How long a file system that hangs delays a connection at most.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// How long it delays the building of a client. A bundle takes milliseconds, also over a network, but a process may get
/// little of a processor while it starts.
pub(super) const LOAD_LIMIT: Duration = Duration::from_secs(20);

/// The configurations in use. One takes 7 ms to load and 200 KiB to hold, and a gateway has a client for each of
/// hundreds of tenants. This list keeps nothing alive, and nothing depends on whether an entry is found.
static IN_USE: Mutex<Vec<Weak<Tls>>> = Mutex::new(Vec::new());

/// A configuration that follows the files of its authorities.
#[derive(Debug)]
pub(crate) struct Tls {
    authorities: Arc<Authorities>,
    current: Mutex<Current>,
    /// When the files were last checked, on the monotonic clock; zero for never.
    checked: AtomicU64,
    /// Whether a check is running: a file system that hangs blocks one thread, not one for each connection.
    is_checking: AtomicBool,
    /// Whether the files did not respond at the last check, which a warning has said.
    is_unresponsive: AtomicBool,
}

#[derive(Debug)]
struct Current {
    config: Arc<ClientConfig>,
    /// The state of the files when they were read.
    stamps: Vec<Stamped>,
    /// The state of the files that could not be used, after a warning about them.
    unusable: Vec<Stamped>,
}

/// The check under way. However it ends, also with its runtime before it began, the next one may begin.
struct Check(Arc<Tls>);

impl Drop for Check {
    fn drop(&mut self) {
        self.0.is_checking.store(false, Ordering::Release);
    }
}

impl Tls {
    /// The configuration in use for these authorities, or a new one. Reads files.
    ///
    /// # Errors
    ///
    /// Every fault of the authorities, and that there is no provider.
    pub(crate) fn load(
        environment: &Environment,
        in_code: &[Vec<u8>],
    ) -> Result<Arc<Self>, Vec<ConfigFault>> {
        let authorities = Authorities::of(environment, in_code);
        if let Some(tls) = in_use(&authorities) {
            let is_due = tls.is_due(BUILD_CHECK_INTERVAL) || tls.has_unusable_files();
            return if is_due { tls.check().map(|()| tls) } else { Ok(tls) };
        }
        let authorities = Arc::new(authorities);
        let (stamps, config) = read(&authorities, None, LOAD_LIMIT)?;
        let config = Arc::new(config.unwrap_or_else(|| configured(&authorities))?);
        let current = Mutex::new(Current { config, stamps, unusable: Vec::new() });
        let checked = AtomicU64::new(Clock::System.now().monotonic);
        let (is_checking, is_unresponsive) = (AtomicBool::new(false), AtomicBool::new(false));
        let tls = Arc::new(Self { authorities, current, checked, is_checking, is_unresponsive });
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|tls| tls.strong_count() > 0);
        in_use.push(Arc::downgrade(&tls));
        Ok(tls)
    }

    /// The configuration, with authorities read again if their files have changed.
    pub(super) async fn config(self: &Arc<Self>) -> Arc<ClientConfig> {
        if self.is_due(CHECK_INTERVAL) && !self.is_checking.swap(true, Ordering::AcqRel) {
            let tls = Arc::clone(self);
            let check = Check(tls);
            let checking = off_worker(move || {
                // The last usable authorities stay in use, and `check` has already warned.
                let _ = check.0.check();
            });
            let _ = tokio::time::timeout(CHECK_LIMIT, checking).await;
        }
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).config)
    }

    fn is_due(&self, interval: Duration) -> bool {
        let now = Clock::System.now().monotonic;
        now.saturating_sub(self.checked.load(Ordering::Relaxed)) >= nanos(interval)
    }

    /// Whether the files could not be used at the last check: the next client fails to build.
    fn has_unusable_files(&self) -> bool {
        !self.current.lock().unwrap_or_else(PoisonError::into_inner).unusable.is_empty()
    }

    /// A server was not trusted, so the files are checked before the next connection.
    pub(super) fn check_soon(&self) {
        self.checked.store(0, Ordering::Relaxed);
    }

    /// Reads the authorities again if their files have changed. While the files do not respond, what was read before
    /// stays in use.
    fn check(&self) -> Result<(), Vec<ConfigFault>> {
        self.checked.store(Clock::System.now().monotonic, Ordering::Relaxed);
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).stamps.clone();
        let (stamps, config) = match read(&self.authorities, Some(known), LOAD_LIMIT) {
            Ok((stamps, config)) => {
                self.is_unresponsive.store(false, Ordering::Relaxed);
                let Some(config) = config else {
                    // What could not be used is as it was before.
                    self.current.lock().unwrap_or_else(PoisonError::into_inner).unusable.clear();
                    return Ok(());
                };
                (stamps, config)
            }
            Err(faults) => {
                if !self.is_unresponsive.swap(true, Ordering::Relaxed) {
                    warn_unchanged(&faults);
                }
                return Ok(());
            }
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match config {
            Ok(config) => {
                *current = Current { config: Arc::new(config), stamps, unusable: Vec::new() };
                Ok(())
            }
            Err(faults) => {
                let is_new = current.unusable != stamps;
                current.unusable = stamps;
                drop(current);
                if is_new {
                    warn_unchanged(&faults);
                }
                Err(faults)
            }
        }
    }
}

fn in_use(authorities: &Authorities) -> Option<Arc<Tls>> {
    let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.iter().filter_map(Weak::upgrade).find(|tls| *tls.authorities == *authorities)
}

/// The states of the files, and the configuration made from them; none if they are as known.
type Read = (Vec<Stamped>, Option<Result<ClientConfig, Vec<ConfigFault>>>);

/// Blocks for `limit` at most.
///
/// # Errors
///
/// When the files do not respond in time.
fn read(
    authorities: &Arc<Authorities>,
    known: Option<Vec<Stamped>>,
    limit: Duration,
) -> Result<Read, Vec<ConfigFault>> {
    // Clients with other authorities in code may read the same files.
    let known = (Arc::clone(authorities), known);
    let read = bounded(&authorities.place(), known, limit, |(files, known)| {
        let stamps = files.stamps();
        let config = (known.as_ref() != Some(&stamps)).then(|| configured(files));
        Ok((stamps, config))
    });
    read.map_err(|cause| vec![authorities.unread(cause, limit)])
}

fn warn_unchanged(faults: &[ConfigFault]) {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let faults = faults.join("; ");
    tracing::warn!("configuration: {faults}; the authorities that were read before stay trusted");
}

fn configured(authorities: &Authorities) -> Result<ClientConfig, Vec<ConfigFault>> {
    let provider = provider();
    let roots = authorities.load();
    let (provider, roots) = match (provider, roots) {
        (Ok(provider), Ok(roots)) => (provider, roots),
        (Err(fault), roots) => {
            return Err(std::iter::once(fault).chain(roots.err().unwrap_or_default()).collect());
        }
        (Ok(_), Err(faults)) => return Err(faults),
    };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|cause| {
        vec![
            ConfigFault::new("transport", "cannot set up TLS with the provider of rustls").with_source(cause),
        ]
    })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The provider is named here, because a library must not choose the default of the process.
#[cfg(feature = "rustls-aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "without the feature there may be none")]
pub(super) fn provider() -> Result<Arc<CryptoProvider>, ConfigFault> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(feature = "rustls-aws-lc-rs"))]
pub(super) fn provider() -> Result<Arc<CryptoProvider>, ConfigFault> {
    CryptoProvider::get_default().map(Arc::clone).ok_or_else(|| {
        ConfigFault::new(
            "transport",
            "has no cryptography for TLS; turn on feature `rustls-aws-lc-rs` of tower-idaas, or call \
             `rustls::crypto::ring::default_provider().install_default()`, or that of another provider, at the start \
             of `main`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn environment(path: &std::path::Path) -> Environment {
        Environment::Manual(ManualEnvironment::from_iter([("SSL_CERT_FILE", path)]))
    }

    fn authority(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn clients_that_trust_the_same_share_one_configuration_and_keep_none_alive() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one.pem", "other.pem"].map(|name| folder.path().join(name));
        std::fs::write(&one, authority("one")).unwrap();
        std::fs::write(&other, authority("other")).unwrap();
        let in_code = [authority("in_code").into_bytes()];
        let first = Tls::load(&environment(&one), &[]).unwrap();
        assert!(Arc::ptr_eq(&first, &Tls::load(&environment(&one), &[]).unwrap()));
        assert!(!Arc::ptr_eq(&first, &Tls::load(&environment(&other), &[]).unwrap()));
        assert!(!Arc::ptr_eq(&first, &Tls::load(&environment(&one), &in_code).unwrap()));
        let gone = Arc::downgrade(&first);
        drop(first);
        assert_eq!(gone.strong_count(), 0);
    }

    #[test]
    fn files_that_do_not_respond_are_a_fault_that_names_them() {
        let path = std::path::Path::new("/mnt/hangs/roots.pem");
        let authorities = Arc::new(Authorities::of(&environment(path), &[]));
        let (hangs, hanging) = std::sync::mpsc::channel::<()>();
        let limit = Duration::from_millis(50);
        let place = authorities.place();
        bounded(&place, (), limit, move |()| Ok(hanging.recv().is_ok())).unwrap_err();
        let faults = read(&authorities, None, limit).map(|_| ()).unwrap_err();
        assert_eq!(faults[0].key(), "SSL_CERT_FILE");
        let problem = "names /mnt/hangs/roots.pem, which did not respond within 50ms";
        assert!(faults[0].to_string().contains(problem), "{}", faults[0]);
        drop(hangs);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_that_is_swapped_between_a_file_and_a_pipe_hangs_no_client_that_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let [path, pipe, other] = ["roots.pem", "pipe", "other"].map(|name| folder.path().join(name));
        let text = authority("first");
        std::fs::write(&path, &text).unwrap();
        let done = AtomicBool::new(false);
        let took = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
                    std::fs::rename(&pipe, &path).unwrap();
                    std::fs::write(&other, &text).unwrap();
                    std::fs::rename(&other, &path).unwrap();
                }
            });
            let began = Clock::System.now();
            for _ in 0..300 {
                let _ = Tls::load(&environment(&path), &[]);
            }
            done.store(true, Ordering::Relaxed);
            Clock::System.now().since(began)
        });
        assert!(took < LOAD_LIMIT, "{took:?}");
    }

    #[test]
    fn a_check_that_is_lost_with_its_runtime_does_not_keep_the_next_one_from_running() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, authority("first")).unwrap();
        let tls = Tls::load(&environment(&path), &[]).unwrap();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let first = runtime().block_on(tls.config());
        std::fs::write(&path, authority("second")).unwrap();
        tls.check_soon();
        let gone = runtime();
        let handle = gone.handle().clone();
        drop(gone);
        {
            let _entered = handle.enter();
            let config = tokio_test::task::spawn(tls.config()).poll();
            assert!(matches!(config, std::task::Poll::Ready(config) if Arc::ptr_eq(&config, &first)));
        }
        tls.check_soon();
        let second = runtime().block_on(tls.config());
        assert!(!Arc::ptr_eq(&first, &second));
    }

    #[tokio::test]
    async fn a_file_that_has_changed_is_read_again_and_one_that_is_broken_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, authority("first")).unwrap();
        let tls = Tls::load(&environment(&path), &[]).unwrap();
        let first = tls.config().await;
        std::fs::write(&path, "torn").unwrap();
        tls.check_soon();
        assert!(Arc::ptr_eq(&first, &tls.config().await));
        // A client that is built now fails.
        assert_eq!(Tls::load(&environment(&path), &[]).unwrap_err()[0].key(), "SSL_CERT_FILE");
        std::fs::write(&path, authority("second")).unwrap();
        tls.check_soon();
        let second = tls.config().await;
        assert!(!Arc::ptr_eq(&first, &second));
        tls.check_soon();
        assert!(Arc::ptr_eq(&second, &tls.config().await), "unchanged");
    }
}
