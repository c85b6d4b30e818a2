//! This test binary in further processes, and what a process takes.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs one test that is ignored otherwise in a process of its own, under this limit of open files.
pub fn this_binary(test: &str, open_files: Option<u32>) -> Command {
    let binary = std::env::current_exe().unwrap();
    let mut command = match open_files {
        None => Command::new(binary),
        Some(limit) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(binary);
            shell
        }
    };
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

/// Runs such a test to its end: its process has only the memory and the files of its own scene.
#[cfg(target_os = "linux")]
pub fn run_apart(test: &str, open_files: Option<u32>) {
    let mut command = this_binary(test, open_files);
    let output = command.env(APART, "1").stderr(std::process::Stdio::inherit()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // Without the harness's own lines; one of them begins the line of the scene's first.
    let is_harness =
        |line: &&str| line.starts_with("running ") || line.starts_with("test result") || *line == "ok";
    let lines = text.lines().map(|line| line.split_once(" ... ").map_or(line, |(_, rest)| rest));
    lines.filter(|line| !line.is_empty() && !is_harness(line)).for_each(|line| println!("{line}"));
    assert!(output.status.success() && text.contains("1 passed"), "{test}: {}\n{text}", output.status);
}

/// Set in the process of a scene.
#[cfg(target_os = "linux")]
const APART: &str = "IDAAS_ISOLATION_APART";

/// Whether this is the process of a scene, and not one that runs all tests that are ignored.
#[cfg(target_os = "linux")]
pub fn is_apart() -> bool {
    std::env::var_os(APART).is_some()
}

/// The most that this process had at a time; nothing where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    pub sockets: usize,
    /// Resident memory, in MiB.
    pub memory: f64,
}

impl Peak {
    const STEP: Duration = Duration::from_millis(20);

    /// What the process takes while the scene lasts.
    pub fn during<T>(scene: impl FnOnce() -> T) -> (T, Self) {
        struct Ends<'a>(&'a AtomicBool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let ends = Ends(&over);
            let sampler = threads.spawn(|| {
                let mut peak = Self::default();
                while !over.load(Ordering::Relaxed) {
                    peak.sockets = peak.sockets.max(sockets().unwrap_or_default());
                    peak.memory = peak.memory.max(resident().unwrap_or_default());
                    std::thread::sleep(Self::STEP);
                }
                peak
            });
            let result = scene();
            drop(ends);
            (result, sampler.join().unwrap())
        })
    }
}

impl std::fmt::Display for Peak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} | {:.0}", self.sockets, self.memory)
    }
}

/// Open sockets of this process.
fn sockets() -> Option<usize> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?;
    let is_socket = |target: &std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
    Some(files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).filter(is_socket).count())
}

/// Resident memory of this process, in MiB.
pub fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok().map(|kibibytes: f64| kibibytes / 1024.0)
}
