//! `--cache`: what a command has fetched, kept in sealed files for the next calls.
//!
//! A cache that cannot be used never fails a command: stderr says why, and the command goes on without it.

#[cfg_attr(not(unix), path = "no_directory.rs")]
mod directory;
mod entry;
mod record;
mod sealing;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tower_idaas::environment::Environment;
use tower_idaas::{Error, ErrorKind};

use self::directory::{Directory, Lock};
pub(crate) use self::entry::Entry;
use self::record::Record;
use self::sealing::Keys;
use crate::bearer::timestamp;
use crate::client::{ConfigArguments, now};
use crate::failure::Failure;
use crate::output::note;

/// How long the process that fetches is waited for without a value that can be used. A fetch takes a fraction of a second;
/// one that hangs keeps only its own caller waiting, and not one process after the other.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LONGEST_REFRESH: Duration = Duration::from_secs(5);

/// Whether a command keeps what it has fetched.
#[derive(Args, Debug)]
pub(crate) struct CacheArguments {
    /// Keeps what is fetched for the next calls, in sealed files in this directory [default directory:
    /// $XDG_CACHE_HOME/idaas, else ~/.cache/idaas]
    #[arg(long, value_name = "DIR", require_equals = true, num_args = 0..=1)]
    cache: Option<Option<PathBuf>>,
    /// Fetches anew although the cache has a value, such as after an API has rejected it
    #[arg(long, requires = "cache")]
    refresh: bool,
}

/// What a command has fetched.
pub(crate) struct Issued<T> {
    pub(crate) value: T,
    pub(crate) expires_at: SystemTime,
}

/// The cache of one client of IDaaS.
pub(crate) struct Cache {
    /// `None` without `--cache`, or when it cannot be used.
    files: Option<SealedFiles>,
    refresh: bool,
    /// How long a fetch may take while there is a value that can be used.
    longest_refresh: Duration,
}

struct SealedFiles {
    directory: Directory,
    keys: Keys,
    client: Entry,
}

/// Why the cache, or a file of it, is not used.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl CacheArguments {
    /// Opens the cache of this client, if there is to be one.
    pub(crate) async fn open(self, config: &ConfigArguments) -> Cache {
        let Self { cache, refresh } = self;
        let files = match cache {
            Some(path) => SealedFiles::open(path, config).await.map_err(|problem| warn(&problem)).ok(),
            None => None,
        };
        Cache { files, refresh, longest_refresh: LONGEST_REFRESH }
    }
}

impl Cache {
    /// What the cache has for the entry, or else what is fetched now, which the cache then has for the next call.
    ///
    /// # Errors
    ///
    /// When the fetch fails, and the cache has no value that can be used instead.
    pub(crate) async fn get_or_fetch<T: DeserializeOwned + Serialize>(
        self,
        entry: &Entry,
        fetch: impl Future<Output = Result<Issued<T>, Failure>>,
    ) -> Result<T, Failure> {
        let Self { files: Some(files), refresh, longest_refresh: limit } = self else {
            return Ok(fetch.await?.value);
        };
        let name = files.keys.name(&[&files.client, entry]);
        let begun = now();
        let record = match refresh {
            true => None,
            false => or_warn(files.read::<T>(&name)),
        };
        let record = match record {
            Some(record) if record.is_served(now()) => return Ok(record.value),
            record => record,
        };
        let lock = match (files.directory.try_lock(&name), record) {
            // Another process fetches already, and while a value can be used, its caller need not wait for that.
            (Ok(None), Some(record)) if record.is_usable(now()) => return Ok(record.value),
            (Ok(None), _) => files.wait_for_lock(&name).await,
            (lock, _) => or_warn(lock),
        };
        // Another process may have fetched meanwhile. Without `--refresh`, what is wrong with the file was reported before.
        let read = files.read::<T>(&name);
        let record = match if refresh { or_warn(read) } else { read.unwrap_or_default() } {
            Some(record) if record.is_served(now()) && (!refresh || record.requested_at >= begun) => {
                return Ok(record.value);
            }
            record => record.filter(|record| !refresh && record.is_usable(now())),
        };
        let requested_at = now();
        let fetched = match record {
            Some(_) => timeout(limit, fetch).await.unwrap_or_else(|_| Err(no_response(limit))),
            None => fetch.await,
        };
        match (fetched, record) {
            (Ok(Issued { value, expires_at }), _) => {
                let record = Record { requested_at, expires_at, retry_at: None, value };
                or_warn(files.write(&name, &record));
                Ok(record.value)
            }
            (Err(failure), Some(mut record)) if failure.is_transient() && record.expires_at > now() => {
                let end = timestamp(record.expires_at);
                note(&format!("warning: {failure}; the cached value is used, which expires at {end}\n"));
                // Without the lock, this could replace what another process has fetched.
                if lock.is_some() {
                    record.put_off_fetch(now());
                    or_warn(files.write(&name, &record));
                }
                Ok(record.value)
            }
            (Err(failure), _) => Err(failure),
        }
    }
}

impl SealedFiles {
    async fn open(path: Option<PathBuf>, config: &ConfigArguments) -> Result<Self, Unusable> {
        let explanation = config.builder().explain();
        let keys = Keys::load(&explanation).await?;
        let directory = Directory::open(path.or_else(default_path).ok_or_else(|| {
            Unusable("neither XDG_CACHE_HOME nor HOME is set; name a directory with --cache=DIR".to_owned())
        })?)?;
        Ok(Self { directory, keys, client: Entry::of_client(&explanation) })
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Record<T>>, Unusable> {
        let Some(sealed) = self.directory.read(name)? else { return Ok(None) };
        let damaged = || Unusable(format!("file {name} is damaged; it is replaced"));
        Ok(Record::read(&self.keys.open(name, &sealed).ok_or_else(damaged)?))
    }

    fn write<T: Serialize>(&self, name: &str, record: &Record<T>) -> Result<(), Unusable> {
        let sealed = record.write().and_then(|text| self.keys.seal(name, &text));
        let sealed = sealed.ok_or_else(|| Unusable("its content cannot be sealed".to_owned()))?;
        self.directory.write(name, &sealed, now())
    }

    /// Keeps other processes from fetching the same. Without the lock, they only fetch more than they need.
    async fn wait_for_lock(&self, name: &str) -> Option<Lock> {
        let begun = now();
        while now().duration_since(begun).is_ok_and(|waited| waited < LONGEST_WAIT) {
            match self.directory.try_lock(name) {
                Ok(None) => tokio::time::sleep(POLL_INTERVAL).await,
                Ok(lock) => return lock,
                Err(problem) => {
                    warn(&problem);
                    return None;
                }
            }
        }
        warn(&Unusable(format!("another process has been fetching the same for {LONGEST_WAIT:?}")));
        None
    }
}

/// Where programs keep what they can fetch again: <https://specifications.freedesktop.org/basedir-spec/latest/>.
fn default_path() -> Option<PathBuf> {
    let path =
        |name| Environment::Process.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
    Some(caches.join("idaas"))
}

fn no_response(limit: Duration) -> Failure {
    let problem = format!("IDaaS has not responded within {limit:?}");
    Error::new(ErrorKind::Timeout, problem).with_transient(true).into()
}

fn or_warn<T: Default>(result: Result<T, Unusable>) -> T {
    result.unwrap_or_else(|problem| {
        warn(&problem);
        T::default()
    })
}

fn warn(problem: &Unusable) {
    note(&format!("warning: the cache is not used: {problem}\n"));
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use tower_idaas::Secret;

    use super::*;

    const TOKEN: &str = "token";

    fn cache(folder: &tempfile::TempDir, refresh: bool) -> Cache {
        let files = SealedFiles {
            directory: Directory::open(folder.path().join("cache")).unwrap(),
            keys: Keys::derive(&Secret::new("secret")).unwrap(),
            client: Entry::new("client"),
        };
        Cache { files: Some(files), refresh, longest_refresh: LONGEST_REFRESH }
    }

    /// Has the cache hold a value that was fetched so many seconds ago and lives for 1,200.
    fn store(folder: &tempfile::TempDir, age: u64) {
        let files = cache(folder, false).files.unwrap();
        let requested_at = now() - Duration::from_secs(age);
        let expires_at = requested_at + Duration::from_secs(1_200);
        let record = Record { requested_at, expires_at, retry_at: None, value: "old".to_owned() };
        let name = files.keys.name(&[&files.client, &Entry::new(TOKEN)]);
        files.write(&name, &record).unwrap();
    }

    fn new() -> Result<Issued<String>, Failure> {
        Ok(Issued { value: "new".to_owned(), expires_at: now() + Duration::from_secs(1_200) })
    }

    fn failed(kind: ErrorKind) -> Result<Issued<String>, Failure> {
        let is_transient = kind == ErrorKind::Connect;
        Err(Error::new(kind, "no response").with_transient(is_transient).into())
    }

    async fn get(cache: Cache, fetched: Result<Issued<String>, Failure>) -> Option<String> {
        cache.get_or_fetch(&Entry::new(TOKEN), std::future::ready(fetched)).await.ok()
    }

    #[tokio::test]
    async fn a_value_past_two_thirds_of_its_life_is_replaced_and_stands_in_when_idaas_does_not_respond() {
        let folder = tempfile::tempdir().unwrap();
        for (age, fetched, expected) in [
            (700, failed(ErrorKind::Refused), Some("old")),
            (900, new(), Some("new")),
            (900, failed(ErrorKind::Connect), Some("old")),
            (900, failed(ErrorKind::Refused), None),
            (1_150, failed(ErrorKind::Connect), None),
            (1_150, new(), Some("new")),
        ] {
            store(&folder, age);
            assert_eq!(get(cache(&folder, false), fetched).await.as_deref(), expected, "{age}");
        }
        // What was fetched last is there.
        assert_eq!(get(cache(&folder, false), failed(ErrorKind::Connect)).await.as_deref(), Some("new"));
    }

    #[tokio::test]
    async fn a_value_that_can_be_used_does_not_wait_for_the_process_that_fetches() {
        let folder = tempfile::tempdir().unwrap();
        let other = cache(&folder, false).files.unwrap();
        let name = other.keys.name(&[&other.client, &Entry::new(TOKEN)]);
        let _held = other.directory.try_lock(&name).unwrap().unwrap();
        for (age, expected) in [(700, Some("old")), (900, Some("old")), (1_150, None)] {
            store(&folder, age);
            let token = Entry::new(TOKEN);
            let value = cache(&folder, false).get_or_fetch(&token, async { panic!("fetched") });
            let value: Option<String> = timeout(POLL_INTERVAL * 5, value).await.ok().map(Result::unwrap);
            assert_eq!(value.as_deref(), expected, "{age}");
        }
    }

    #[tokio::test]
    async fn after_a_failed_fetch_the_value_is_used_for_a_while_without_another_fetch() {
        let folder = tempfile::tempdir().unwrap();
        store(&folder, 900);
        let token = Entry::new(TOKEN);
        assert_eq!(get(cache(&folder, false), failed(ErrorKind::Connect)).await.as_deref(), Some("old"));
        for _ in 0..3 {
            let fetch = async { panic!("fetched") };
            let value: Result<String, _> = cache(&folder, false).get_or_fetch(&token, fetch).await;
            assert_eq!(value.unwrap(), "old");
        }
        assert_eq!(get(cache(&folder, true), new()).await.as_deref(), Some("new"));
    }

    #[tokio::test]
    async fn a_fetch_that_hangs_is_given_up_early_only_while_there_is_a_value_that_can_be_used() {
        for (age, expected) in [(900, Some("old")), (1_150, None)] {
            let folder = tempfile::tempdir().unwrap();
            store(&folder, age);
            let token = Entry::new(TOKEN);
            let impatient = Cache { longest_refresh: POLL_INTERVAL, ..cache(&folder, false) };
            let value = impatient.get_or_fetch(&token, std::future::pending());
            let value: Option<String> = timeout(POLL_INTERVAL * 5, value).await.ok().map(Result::unwrap);
            assert_eq!(value.as_deref(), expected, "{age}");
        }
    }

    #[tokio::test]
    async fn a_refresh_takes_nothing_from_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        store(&folder, 0);
        assert_eq!(get(cache(&folder, true), failed(ErrorKind::Connect)).await, None);
        assert_eq!(get(cache(&folder, true), new()).await.as_deref(), Some("new"));
        assert_eq!(get(cache(&folder, false), failed(ErrorKind::Connect)).await.as_deref(), Some("new"));
    }
}
