//! A `redis-server` of a test's own.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;
use tower_idaas::{Secret, SecretSource};

pub(crate) const PASSWORD: &str = "marker-password";

/// See [`Server::allow_documented_user`].
pub(crate) const DOCUMENTED_USER: &str = "idaas:its-password";

/// Stops when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    pub(crate) folder: TempDir,
}

/// A port that is not in use now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// `None`, and a word about it, when there is no `redis-server` on this machine.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(more: &[&str]) -> Option<Self> {
        let address = free_address();
        let port = address.port().to_string();
        let own = ["--port", &port, "--requirepass", PASSWORD];
        Self::launch(address, own.iter().chain(more).map(ToString::to_string).collect())
    }

    /// With these arguments alone, listening at this address.
    pub(crate) fn launch(address: SocketAddr, arguments: Vec<String>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(folder.path(), &arguments)?;
        let server = Self { child, address, arguments, folder };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        for _ in 0..500 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not come up");
    }

    /// Dies at once, with all it has.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.folder.path(), &self.arguments).unwrap();
        self.wait();
    }

    /// Accepts connections and says nothing more, until [`wake`](Self::wake).
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@{}/", self.address)
    }

    pub(crate) fn source(&self) -> SecretSource {
        SecretSource::value(Secret::new(self.url()))
    }

    /// Another client, to look at what is stored and to change it.
    pub(crate) fn client(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// The response to one command.
    pub(crate) fn command<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut packed = redis::Cmd::new();
        packed.arg(command);
        packed.query(&mut self.client()).unwrap()
    }

    /// Creates the user that the documents describe.
    pub(crate) fn allow_documented_user(&self) {
        let allowed =
            "on >its-password resetkeys ~idaas:* resetchannels -@all +eval +getrange +pttl +get +set +del";
        let command: Vec<&str> = ["ACL", "SETUSER", "idaas"].into_iter().chain(allowed.split(' ')).collect();
        let _: String = self.command(&command);
    }

    /// The keys that are there, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.command(&["KEYS", "*"]);
        keys.sort();
        keys
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, arguments: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command
        .args(arguments)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            static ONCE: Once = Once::new();
            // Past the harness, which keeps what tests that pass have printed to itself.
            ONCE.call_once(|| {
                let line =
                    "the Redis tests did not run: redis-server is not installed (package redis-server)";
                std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).unwrap();
            });
            None
        }
        Err(error) => panic!("redis-server does not start: {error}"),
    }
}
